"""Small networks of the kinds that release notes list: each makes a module, its input and its loss."""

import torch
from npu_testing import TORCH
from torch import nn
from torch.nn import functional

#: torch 1 makes no nested tensors.
PADDED = {"enable_nested_tensor": False} if TORCH >= (2, 0) else {}


class Residual(nn.Module):
    """A block of a ResNet, with a projection where the size changes."""

    def __init__(self, before, after, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.short = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x):
        return functional.relu(self.body(x) + self.short(x))


class Dense(nn.Module):
    """A layer of a DenseNet: what it makes is joined to what it got."""

    def __init__(self, before, growth):
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(before), nn.ReLU(), nn.Conv2d(before, growth, 3, padding=1, bias=False)
        )

    def forward(self, x):
        return torch.cat([x, self.body(x)], 1)


class Detector(nn.Module):
    """A grid of boxes in the manner of YOLO: position, size, objectness and class of each cell."""

    def __init__(self, classes=3):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1),
            nn.BatchNorm2d(8),
            nn.LeakyReLU(0.1),
            nn.Conv2d(8, 16, 3, 2, 1),
            nn.BatchNorm2d(16),
            nn.LeakyReLU(0.1),
            nn.MaxPool2d(2),
        )
        self.head = nn.Conv2d(16, 5 + classes, 1)

    def forward(self, x):
        return self.head(self.body(x)).permute(0, 2, 3, 1)


class Recognizer(nn.Module):
    """A CRNN: columns of an image read by a bidirectional LSTM."""

    def __init__(self, letters=6):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d((4, 2)))
        self.rnn = nn.LSTM(16, 12, bidirectional=True)
        self.head = nn.Linear(24, letters)

    def forward(self, x):
        columns = self.body(x).flatten(1, 2).permute(2, 0, 1)
        return functional.log_softmax(self.head(self.rnn(columns)[0]), -1)


class Encoder(nn.Module):
    """BERT in small: tokens, positions, layers, and a guess at each token."""

    def __init__(self, words=20, width=16):
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(12, width)
        layer = nn.TransformerEncoderLayer(width, 4, 32, dropout=0.0, activation="gelu", batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, **PADDED)
        self.head = nn.Linear(width, words)

    def forward(self, tokens):
        x = self.words(tokens) + self.places(torch.arange(tokens.size(1), device=tokens.device))
        return self.head(self.layers(x))


class Memory(nn.Module):
    """A layer in the manner of Transformer-XL: attention over a segment and what the one before left."""

    def __init__(self, words=20, width=16, heads=4):
        super().__init__()
        self.heads, self.words = heads, nn.Embedding(words, width)
        self.q, self.kv = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.r = nn.Parameter(torch.zeros(heads, 24))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, words)

    def attend(self, x, memory):
        whole = x if memory is None else torch.cat([memory, x], 1)
        batch, length, width = x.shape
        q = self.q(x).view(batch, length, self.heads, -1).transpose(1, 2)
        k, v = (
            part.view(batch, whole.size(1), self.heads, -1).transpose(1, 2)
            for part in self.kv(whole).chunk(2, -1)
        )
        scores = q @ k.transpose(-1, -2) / q.size(-1) ** 0.5 + self.r[:, None, : whole.size(1)]
        hidden = torch.ones(length, whole.size(1), device=x.device, dtype=torch.bool)
        scores = scores.masked_fill(hidden.triu(whole.size(1) - length + 1), float("-inf"))
        return self.norm(x + (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, width))

    def forward(self, tokens):
        memory, outputs = None, []
        for segment in tokens.split(6, 1):
            x = self.words(segment)
            outputs.append(self.head(self.attend(x, memory)))
            memory = x.detach()
        return torch.cat(outputs, 1)


class Reader(nn.Module):
    """A word-language model over a recurrent layer, or over a causal Transformer (as nanoGPT's)."""

    def __init__(self, kind, words=20, width=16):
        super().__init__()
        self.kind, self.words = kind, nn.Embedding(words, width)
        if kind == "Transformer":
            layer = nn.TransformerEncoderLayer(width, 2, 32, dropout=0.0, batch_first=True, norm_first=True)
            self.body = nn.TransformerEncoder(layer, 2, **PADDED)
        else:
            self.body = getattr(nn, kind)(width, width, 2, batch_first=True)
        self.head = nn.Linear(width, words, bias=False)
        self.head.weight = self.words.weight

    def forward(self, tokens):
        x = self.words(tokens)
        if self.kind != "Transformer":
            return self.head(self.body(x)[0])
        mask = torch.full((x.size(1), x.size(1)), float("-inf"), device=x.device).triu(1)
        return self.head(self.body(x, mask=mask))


def images():
    return torch.randn(4, 3, 16, 16)


def tokens():
    return torch.randint(0, 20, (3, 12))


def classify(output):
    return functional.cross_entropy(output, torch.arange(len(output), device=output.device) % output.size(1))


def guess_next(output):
    target = torch.arange(output.size(1), device=output.device).expand(len(output), -1) % output.size(2)
    return functional.cross_entropy(output.flatten(0, 1), target.flatten())


def boxes(output):
    target = torch.linspace(0, 1, output.numel(), device=output.device).view(output.shape)
    place = functional.smooth_l1_loss(output[..., :4].sigmoid(), target[..., :4])
    found = functional.binary_cross_entropy_with_logits(output[..., 4], (target[..., 4] > 0.5).float())
    kind = functional.cross_entropy(output[..., 5:].flatten(0, 2), target[..., 5:].flatten(0, 2).argmax(-1))
    return place + found + kind


def spelling(output):
    lengths = torch.full((output.size(1),), output.size(0), dtype=torch.long)
    letters = torch.tensor([[1, 2, 3], [3, 2, 1], [4, 5, 1]], device=output.device)
    return functional.ctc_loss(output, letters, lengths, torch.full_like(lengths, 3))


def resnet():
    return nn.Sequential(
        Residual(3, 8, 1), Residual(8, 16, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)
    )


def densenet():
    layers = [Dense(3 + 4 * i, 4) for i in range(3)]
    return nn.Sequential(*layers, nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(15, 5))


#: name -> module, input, loss.
NETWORKS = {
    "ResNet": (resnet, images, classify),
    "DenseNet": (densenet, images, classify),
    "detector": (Detector, images, boxes),
    "CRNN": (Recognizer, lambda: torch.randn(3, 1, 8, 24), spelling),
    "BERT": (Encoder, tokens, guess_next),
    "Transformer-XL": (Memory, tokens, guess_next),
    "LSTM": (lambda: Reader("LSTM"), tokens, guess_next),
    "GRU": (lambda: Reader("GRU"), tokens, guess_next),
    "Transformer": (lambda: Reader("Transformer"), tokens, guess_next),
}
