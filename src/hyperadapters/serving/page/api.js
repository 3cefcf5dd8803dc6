// The server: every answer comes through here.

import { byId } from "./dom.js";

const KEY = "hyperadapters-key";

async function call(path, options = {}) {
  const key = sessionStorage.getItem(KEY);
  const headers = { ...options.headers, ...(key ? { "X-API-Key": key } : {}) };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  if (answer.status === 401) byId("key-form").hidden = false;
  let detail = `The server answers ${answer.status}.`;
  try {
    detail = (await answer.json()).detail;
  } catch { /* it has said nothing more */ }
  throw new Error(detail.charAt(0).toUpperCase() + detail.slice(1));
}

export function useKey(key) {
  sessionStorage.setItem(KEY, key);
  byId("key-form").hidden = true;
}

export const get = async (path) => (await call(path)).json();

const sent = (path, body) =>
  call(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });

export const post = async (path, body) => (await sent(path, body)).json();
export const postForFile = async (path, body) => (await sent(path, body)).blob();

export const sendTable = async (file, query) =>
  (await call(`v1/tables?${query}`, {
    method: "POST", headers: { "Content-Type": "text/csv" }, body: file,
  })).json();
export const fetchTable = async (id) => (await call(`v1/tables/${id}/csv`)).blob();
export const dropTable = (id) => call(`v1/tables/${id}`, { method: "DELETE" });

/** Everyone the run knows, a thousand at a time; no more than can be asked at once. */
export async function annotators(most) {
  const all = [];
  let n = 1;
  while (all.length < Math.min(n, most)) {
    const some = await get(`v1/annotators?offset=${all.length}&limit=1000`);
    n = some.n_annotators;
    if (!some.annotators.length) break;
    all.push(...some.annotators);
  }
  return all;
}
