import pytest
import torch
from torch import nn

from hyperadapters.backbones import onednn
from hyperadapters.methods.fast_linear import fast_linear


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("gelu", [True, False])
@pytest.mark.parametrize("there", [True, False])
def test_it_does_what_the_layer_does(bias, gelu, there, monkeypatch):
    if not there:
        monkeypatch.setattr(onednn, "is_there", lambda: False)
    torch.manual_seed(0)
    layer = nn.Linear(48, 80, bias=bias)
    product = fast_linear(layer, gelu=gelu)
    for shape in ((1, 48), (7, 48), (2, 3, 5, 48)):
        x = torch.randn(*shape)
        with torch.no_grad():
            wanted = nn.functional.gelu(layer(x)) if gelu else layer(x)
            torch.testing.assert_close(product(x), wanted, atol=2e-6, rtol=1e-5)
            torch.testing.assert_close(product(x.transpose(0, -2)), wanted.transpose(0, -2))


def test_what_is_no_plain_layer_is_called_as_it_is():
    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    x = torch.randn(3, 4)
    for layer in (Doubled(4, 4), nn.Linear(4, 4).double(), nn.Identity()):
        given = x.double() if getattr(layer, "weight", x).dtype == torch.float64 else x
        assert torch.equal(fast_linear(layer)(given), layer(given))


def test_under_autocast_it_is_the_layer():
    layer, x = nn.Linear(32, 32), torch.randn(4, 32)
    product = fast_linear(layer)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(product(x), layer(x))
        assert product(x).dtype == torch.bfloat16
