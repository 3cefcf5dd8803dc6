// Elements of the page. Whatever comes from outside goes in as text, never as HTML.

/** An element; `on…` are listeners, `class`, `aria-…` and the rest are attributes. */
export function el(tag, attributes = {}, ...content) {
  return filled(document.createElement(tag), attributes, content);
}

/** An element of a drawing. */
export function svg(tag, attributes = {}, ...content) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, content);
}

function filled(element, attributes, content) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...content.flat().filter((piece) => piece !== null && piece !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Hand a file to whoever looks at the page. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = el("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

/** Say something to those who hear the page. */
export function say(words) {
  byId("status").textContent = words;
}

/** Show what went wrong, or nothing. */
export function fault(words) {
  byId("fault").textContent = words || "";
  byId("fault").hidden = !words;
}

/** Do something that takes a while: the button waits, and a fault is shown. */
export async function busy(button, work) {
  fault("");
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  try {
    return await work();
  } catch (error) {
    fault(error.message);
    return undefined;
  } finally {
    const had = document.activeElement === document.body;
    button.disabled = false;
    button.removeAttribute("aria-busy");
    // A button that cannot be pressed loses the focus; whoever works with keys wants it back.
    if (had && !button.closest("[hidden]")) button.focus();
  }
}

export const percent = (p) => `${Math.round(100 * p)} %`;

/** As `1 person` and `3 people`. */
export const counted = (n, one, many) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
