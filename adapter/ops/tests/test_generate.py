"""The operator tables and their generator: wrong rows are refused by name, right ones give C++."""

from __future__ import annotations

import json
import re
from pathlib import Path

import generate
import pytest
import rows
import signatures

OPS = Path(__file__).resolve().parent.parent
OPERATORS = OPS.parents[1] / "cann" / "operators"

SIGNATURES = """\
Add: tensor self, tensor other, scalar alpha, out out
Adds: tensor self, scalar other, scalar alpha, out out
Relu: tensor self, out out
Clamp: tensor self, scalar? min, scalar? max, out out
"""


def rows_of(signature_table: str) -> str:
    """A table in which operators have nothing but a signature: `Name: parameters` in each line."""
    return re.sub(
        r"^(\w+): (.*)$",
        lambda match: f"{match[1]}: {{takes: {quoted(match[2])}}}",
        signature_table,
        flags=re.M,
    )


def quoted(text: str) -> str:
    return text if text.startswith("[") else f'"{text}"'


ADD_OPS = """
struct TORCH_API add_Tensor {
  static constexpr const char* name = "aten::add";
  static constexpr const char* overload_name = "Tensor";
  static at::Tensor call(const at::Tensor & self, const at::Tensor & other, const at::Scalar & alpha);
};

struct TORCH_API add__Tensor {
  static constexpr const char* name = "aten::add_";
  static constexpr const char* overload_name = "Tensor";
  static at::Tensor & call(at::Tensor & self, const at::Tensor & other, const at::Scalar & alpha);
};

struct TORCH_API add_out {
  STATIC_CONSTEXPR_STR_INL_EXCEPT_WIN_CUDA(name, "aten::add")
  STATIC_CONSTEXPR_STR_INL_EXCEPT_WIN_CUDA(overload_name, "out")
  static at::Tensor & call(const at::Tensor & self, const at::Tensor & other, const at::Scalar & alpha, \
at::Tensor & out);
};
"""

ADD_META = """
struct TORCH_API structured_add_Tensor : public TensorIteratorBase {
    void meta(const at::Tensor & self, const at::Tensor & other, const at::Scalar & alpha);
};
"""

RELU_OPS = """
struct TORCH_API relu {
  static constexpr const char* name = "aten::relu";
  static constexpr const char* overload_name = "";
  static at::Tensor call(const at::Tensor & self);
};
"""


@pytest.fixture
def sdk(tmp_path: Path) -> Path:
    """A torch SDK's include folder with two operators, one of them structured."""
    folder = tmp_path / "include" / "ATen" / "ops"
    folder.mkdir(parents=True)
    (folder / "add_ops.h").write_text(ADD_OPS)
    (folder / "add_meta.h").write_text(ADD_META)
    (folder / "relu_ops.h").write_text(RELU_OPS)
    return tmp_path / "include"


def _run(
    tmp_path: Path,
    sdk: Path,
    table: str,
    signature_table: str = SIGNATURES,
    source: str = "",
    parts: int = 1,
    strict: bool = False,
    custom: str = "{}",
) -> int:
    (tmp_path / "ops.yaml").write_text(table)
    (tmp_path / "custom.yaml").write_text(custom)
    operators = tmp_path / "operators"
    operators.mkdir(exist_ok=True)
    (operators / "topic.yaml").write_text(rows_of(signature_table))
    (tmp_path / "glue").mkdir(exist_ok=True)
    (tmp_path / "glue" / "kernel.cpp").write_text(source)
    return generate.main(
        [
            "--table",
            str(tmp_path / "ops.yaml"),
            "--custom",
            str(tmp_path / "custom.yaml"),
            "--operators",
            str(operators),
            "--sources",
            str(tmp_path / "glue"),
            "--torch",
            str(sdk),
            "--out",
            str(tmp_path / "out"),
            "--parts",
            str(parts),
            *(["--strict"] if strict else []),
        ]
    )


ADD_ROW = "add.out: Add(self, other, alpha, out)"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("add.out: Sum(self, out)", "aclnnSum is not in cann/operators"),
        ("add.out: Add(self, other, out)", "aclnnAdd takes 4 arguments"),
        ("add.out: Add(self, other, beta, out)", "'beta' in 'beta' is neither an argument"),
        ("add.out: Add", "'Add' is no call"),
        ("add out: Add(self, other, alpha, out)", "not the name of an aten overload"),
        (f"{ADD_ROW}\n{ADD_ROW}", "'add.out' is given twice"),
        ('add.out: {call: "Add(self, other, alpha, out)", hosts: {}}', "unknown field 'hosts'"),
        ('add.out: {call: "Add(self, other, alpha, out)", since: 2.0}', 'in quotes, like "2.1"'),
        ('add.out: {call: "Relu(self, out)", kernel: add}', "give either `call` or `kernel`"),
        ("add.out: {kernel: add}", "name the aclnn operators"),
        (
            'add.out: {call: "Add(self, other, alpha, out)", host: {alpha: "Relu(self, out)"}}',
            "no tensor argument",
        ),
        ("relu: Relu(self, out)", "'out' in 'out' is neither an argument"),
        ("relu: Relu(self, self)", "say in `new` how each result is made"),
        ("- add.out", "expected a mapping, found list"),
        ("add.out: [", "is not valid YAML"),
    ],
)
def test_a_wrong_row_is_refused(
    table: str, message: str, tmp_path: Path, sdk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tmp_path, sdk, table) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("signature_table", "message"),
    [
        ("Add: tensor self, tensr other, out out", "unknown kind 'tensr'"),
        ("Add: tensor self, out", "'out' is no parameter"),
        ("Add: tensor self, tensor self, out out", "'self' is given twice"),
        ("Add: tensor self, int64? dim, out out", "only pointers can be null"),
        ("Add: tensor self", "nothing is written"),
        ("add: tensor self, out out", "'add' is no operator name"),
        ("Add: [tensor, out]", "expected parameters like"),
        ("Relu: tensor self, out out\nRelu: tensor self, out out", "'Relu' is given twice"),
    ],
)
def test_a_wrong_signature_is_refused(signature_table: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "topic.yaml"
    path.write_text(rows_of(signature_table))
    with pytest.raises(signatures.SignatureError, match=re.escape(message)):
        signatures.parse([path])


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(signatures.SignatureError, match="cannot be read"):
        signatures.parse([tmp_path / "none.yaml"])


def test_a_structured_row_gives_its_three_forms(tmp_path: Path, sdk: Path) -> None:
    host = 'host: {other: "Adds(self, item(other), alpha, out)"}'
    table = f'add.out: {{call: "Add(self, other, alpha, out)", {host}}}'
    assert _run(tmp_path, sdk, table) == 0
    text = (tmp_path / "out" / "register_0.cpp").read_text()
    assert re.findall(r'm\.impl\("([^"]+)"', text) == ["add.out", "add.Tensor", "add_.Tensor"]
    assert "Structured<at::meta::structured_add_Tensor, 1> rules(Result::kInplace" in text
    # Promotion is PyTorch's: operands are brought to the common dtype; a host number goes by value.
    assert "aclnn::Add(*operand(self, common), *operand(other, common), alpha, out);" in text
    assert "aclnn::Adds(*operand(self, common), item(other), alpha, out);" in text


SCHEMA = 'schema: "(Tensor self, int dim=-1) -> Tensor"'
CALL = 'new: {out: like(self)}, call: "Relu(self, out)"'


@pytest.mark.parametrize(
    ("custom", "message"),
    [
        (f"relu: {{{SCHEMA}, {CALL}}}", "not the name of a custom operator"),
        ("npu_relu: Relu(self, out)", "expected a mapping"),
        (f"npu_relu: {{{CALL}}}", "write it like (Tensor self, int dim=-1) -> Tensor"),
        ('npu_relu: {schema: "(Tensro self) -> Tensor", ' + CALL + "}", "'Tensro self' is no argument"),
        (f"npu_relu: {{{SCHEMA}, {CALL}, nwe: {{}}}}", "unknown field 'nwe'; known"),
        (f"npu_relu: {{{SCHEMA}, {CALL}, kernel: relu}}", "give either `call` or `kernel`"),
        (f'npu_relu: {{{SCHEMA}, call: "Relu(self, self)"}}', "returns 1 results; make them in `new`"),
        (
            f'npu_relu: {{{SCHEMA}, new: {{out: like(x)}}, call: "Relu(self, out)"}}',
            "'x' in 'like(x)' is neither",
        ),
        (f"npu_relu: {{{SCHEMA}, {CALL}, check: {{slef: 2-D}}}}", "`check` names 'slef'"),
        (f"npu_relu: {{{SCHEMA}, {CALL}, check: {{self: two}}}}", "the check of 'self' is 'two'"),
        (f"npu_relu: {{{SCHEMA}, {CALL}, refused: {{dmi > 1: more}}}}", "'dmi' in 'dmi > 1' is neither"),
        (f"npu_relu: {{{SCHEMA}, {CALL}, gradient: {{of: self}}}}", "gradient needs `of` and `call`"),
        (
            f'npu_relu: {{{SCHEMA}, {CALL}, gradient: {{of: self, call: "npu_grad(grad_out)"}}}}',
            "its gradient calls 'npu_grad', which has no row",
        ),
        (
            f'npu_relu: {{{SCHEMA}, {CALL}, gradient: {{of: self, call: "npu_relu(grad_y)"}}}}',
            "'grad_y' in 'grad_y' is neither",
        ),
    ],
)
def test_a_wrong_custom_row_is_refused(
    custom: str, message: str, tmp_path: Path, sdk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tmp_path, sdk, ADD_ROW, custom=custom) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_custom_row_gives_kernel_meta_and_gradient(tmp_path: Path, sdk: Path) -> None:
    gradient = 'gradient: {of: self, call: "npu_relu_backward(grad_out, self)"}'
    custom = (
        f"npu_relu: {{{SCHEMA}, {CALL}, {gradient}, check: {{self: 2-D or 3-D}}, refused: {{dim > 1: it}}}}\n"
        'npu_relu_backward: {schema: "(Tensor grad, Tensor(a!) self) -> Tensor", new: {out: like(self)}, '
        'call: "Relu(grad, out)"}'
    )
    assert _run(tmp_path, sdk, ADD_ROW, custom=custom) == 0
    # The gradient stands in the file of the operator that calls it.
    texts = [path.read_text() for path in sorted((tmp_path / "out").glob("custom_*.cpp"))]
    (text,) = [text for text in texts if "npu_relu" in text]
    assert "at::Tensor npu_relu(const at::Tensor & self, int64_t dim) {" in text
    assert 'check_dimensions(op, "self", self, {2, 3});' in text
    assert 'refuse(op, dim > 1, "it");' in text
    assert 'm.def("npu_relu(Tensor self, int dim=-1) -> Tensor");' in text
    registered = re.findall(r'm\.impl\("(\w+)", ([&\w()]+)\);', text)
    assert registered == [
        *[("npu_relu", "&npu_relu"), ("npu_relu_backward", "&npu_relu_backward")] * 2,
        ("npu_relu", "&npu_relu_with_gradient"),
        ("npu_relu_backward", "not_differentiable()"),
        ("npu_relu_backward", "counts_changes()"),
    ]


def test_the_table_names_every_registration(tmp_path: Path, sdk: Path) -> None:
    assert (
        _run(
            tmp_path, sdk, f'{ADD_ROW}\nrelu: {{call: "Relu(self, out)", new: {{out: at::empty_like(self)}}}}'
        )
        == 0
    )
    header = (tmp_path / "out" / "op_table.h").read_text()
    match = re.search(r'R"json\((.*)\)json"', header, re.S)
    assert match is not None
    table = {entry["aten"]: entry["aclnn"] for entry in json.loads(match[1])}
    assert table == {
        "aten::add.out": "aclnnAdd",
        "aten::add.Tensor": "aclnnAdd",
        "aten::add_.Tensor": "aclnnAdd",
        "aten::relu": "aclnnRelu",
    }


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "add.oot: Add(self, other, alpha, out)",
            "add.oot: this torch has no overload of this name; did you mean add.out",
        ),
        ("ad.out: Add(self, other, alpha, out)", "did you mean add.out"),
        ("rellu: {kernel: relu, aclnn: Relu}", "did you mean relu?"),
        (
            "add.out: Ad(self, other, alpha, out)",
            "aclnnAd is not in cann/operators.*did you mean Add or Adds?",
        ),
        (
            "add.out: Add(self, othr, alpha, out)",
            "'othr' in 'othr' is neither .* did you mean other?",
        ),
        ('add.out: {cal: "Add(self, other, alpha, out)"}', "unknown field 'cal'.*did you mean call?"),
        (
            'add.out: {call: "Add(self, other, alpha, out)", sizes: {oot: self.sizes()}}',
            "`sizes` names 'oot', and the overload writes out; did you mean out?",
        ),
        (
            'add.out: {call: "Add(self, other, alpha, out)", new: {out: at::empty_like(self)}}',
            "`new` makes results, and this overload writes into what it is given",
        ),
        (
            'relu: {call: "Relu(self, out)", new: {out: at::empty_like(self)}, sizes: {out: self.sizes()}}',
            "`sizes` names 'out', and the overload writes no argument of the caller",
        ),
    ],
)
def test_a_misspelt_word_is_refused_with_the_nearest_right_one(
    table: str, message: str, tmp_path: Path, sdk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row that is left out in silence would leave its operator on the CPU for ever."""
    assert _run(tmp_path, sdk, table) == 1
    assert re.search(message.replace("?", r"\?"), capsys.readouterr().err)


def _version(sdk: Path, major: int, minor: int) -> None:
    header = sdk / "torch" / "csrc" / "api" / "include" / "torch" / "version.h"
    header.parent.mkdir(parents=True)
    header.write_text(f"#define TORCH_VERSION_MAJOR {major}\n#define TORCH_VERSION_MINOR {minor}\n")


@pytest.mark.parametrize(("version", "served"), [((1, 11), False), ((2, 0), True), ((2, 10), True)])
def test_a_row_starts_with_the_torch_whose_form_it_fits(
    version: tuple[int, int], served: bool, tmp_path: Path, sdk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _version(sdk, *version)
    assert _run(tmp_path, sdk, 'add.out: {call: "Add(self, other, alpha, out)", since: "2.0"}') == 0
    assert ("for a later torch, left out: aten::add.out" in capsys.readouterr().out) is not served
    assert ('m.impl("add.out"' in (tmp_path / "out" / "register_0.cpp").read_text()) is served


def test_a_row_without_its_torch_is_an_error_of_that_torch_and_later_ones(
    tmp_path: Path, sdk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _version(sdk, 2, 1)
    assert _run(tmp_path, sdk, 'clamp.out: {call: "Clamp(self, min, max, out)", since: "2.2"}') == 0
    assert _run(tmp_path, sdk, 'clamp.out: {call: "Clamp(self, min, max, out)", since: "2.1"}') == 1
    assert "clamp.out: torch 2.1 has no overload of this name. Fix" in capsys.readouterr().err
    assert _run(tmp_path, sdk, 'clamp: {kernel: clamp, aclnn: Clamp, since: "2.2"}') == 0
    assert "left out: aten::clamp\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "fits"),
    [
        (ADD_ROW.replace(": Add", ': {call: "Add').replace("out)", 'out)", since: "2.2"}'), True),
        ('relu: {call: "Relu(self, out)", new: {out: at::empty_like(self)}, since: "2.2"}', True),
        ('relu: {kernel: relu, aclnn: Relu, since: "2.2"}', True),
        ('add.Tensor: {call: "Add(self, other, alpha, self)", since: "2.2"}', False),  # says no `new`
    ],
)
def test_a_since_that_could_be_earlier_is_an_error_where_that_is_asked(
    row: str, fits: bool, tmp_path: Path, sdk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _version(sdk, 2, 1)
    assert _run(tmp_path, sdk, row) == 0
    assert _run(tmp_path, sdk, row, strict=True) == int(fits)
    assert ("`since` says 2.2, but torch 2.1 has it" in capsys.readouterr().err) is fits


@pytest.mark.parametrize(("minor", "served"), [(1, False), (2, True)])
def test_a_row_whose_operator_was_composed_of_others_begins_later(
    minor: int, served: bool, tmp_path: Path, sdk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _version(sdk, 2, minor)
    row = 'relu: {kernel: relu, aclnn: Relu, composed_before: "2.2"}'
    assert _run(tmp_path, sdk, row, strict=True) == 0
    assert ("left out: aten::relu\n" in capsys.readouterr().out) is not served


def test_two_rows_cannot_serve_one_overload(
    tmp_path: Path, sdk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(tmp_path, sdk, f"{ADD_ROW}\nadd_.Tensor: Add(self, other, alpha, self)") == 1
    assert "aten::add_.Tensor is served by two rows, add.out and add_.Tensor" in capsys.readouterr().err


def test_the_same_input_leaves_the_output_alone(tmp_path: Path, sdk: Path) -> None:
    assert _run(tmp_path, sdk, ADD_ROW) == 0
    out = tmp_path / "out" / "register_0.cpp"
    before = out.stat().st_mtime_ns
    assert _run(tmp_path, sdk, ADD_ROW) == 0
    assert out.stat().st_mtime_ns == before


RELU_ROW = 'relu: {call: "Relu(self, out)", new: {out: "at::empty_like(self)"}}'


@pytest.mark.parametrize("before", [ADD_ROW, f"{ADD_ROW}\n{RELU_ROW}"], ids=["new", "changed"])
def test_a_row_is_compiled_again_alone(before: str, tmp_path: Path, sdk: Path) -> None:
    """One file for the compiler is another one after a row came, at whatever place, or changed."""
    changed = RELU_ROW.replace("empty_like", "zeros_like") if RELU_ROW in before else RELU_ROW

    def written() -> dict[str, str]:
        return {path.name: path.read_text() for path in (tmp_path / "out").glob("register_*.cpp")}

    assert _run(tmp_path, sdk, before, parts=6) == 0
    first = written()
    assert _run(tmp_path, sdk, f"{changed}\n{ADD_ROW}", parts=6) == 0
    second = written()
    assert len(first) == 6
    assert len([name for name in first if first[name] != second[name]]) == 1


def test_a_family_is_its_operators(tmp_path: Path) -> None:
    path = tmp_path / "topic.yaml"
    path.write_text(
        '"Foreach{Name}": {for: {Abs: abs, Log1p: log1p}, takes: "tensors x, outs out", '
        'aten: "write(at::{name}(x))"}'
    )
    rows = {name: row for _, name, row in signatures.load_rows([path])}
    assert {name: row["aten"] for name, row in rows.items()} == {
        "ForeachAbs": "write(at::abs(x))",
        "ForeachLog1p": "write(at::log1p(x))",
    }


@pytest.mark.parametrize("entry", ["F: {for: {Abs: abs}}", '"F{Name}": {for: [Abs]}', '"F{Name}": {for: {}}'])
def test_a_family_without_members_or_a_place_for_their_names_is_refused(entry: str, tmp_path: Path) -> None:
    path = tmp_path / "topic.yaml"
    path.write_text(entry)
    with pytest.raises(signatures.SignatureError, match="`for` maps CANN's names to ATen's"):
        list(signatures.load_rows([path]))


def test_an_operator_has_one_home(tmp_path: Path) -> None:
    paths = [tmp_path / "math.yaml", tmp_path / "more.yaml"]
    for path in paths:
        path.write_text('Add: {takes: "tensor self, out out"}')
    with pytest.raises(signatures.SignatureError, match=r"more.yaml: Add has a row in .*math.yaml, too"):
        signatures.parse(paths)


def test_only_what_the_adapter_calls_becomes_an_object(
    tmp_path: Path, sdk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From rows and from C++; who calls an operator is written nowhere."""
    assert _run(tmp_path, sdk, ADD_ROW, source="aclnn::Relu(self, out);") == 0
    header = (tmp_path / "out" / "aclnn_operators.h").read_text()
    assert re.findall(r"^inline Operator<.*> (\w+)\(", header, re.M) == ["Add", "Relu"]
    assert _run(tmp_path, sdk, ADD_ROW, source="aclnn::Rleu(self, out);") == 1
    assert "aclnnRleu is called and is not in cann/operators; did you mean Relu?" in capsys.readouterr().err


def test_hand_written_kernels_name_the_operators_they_call() -> None:
    table = signatures.parse(sorted(OPERATORS.glob("*.yaml")))
    listed = {name for row in rows.parse(OPS / "ops.yaml", table) if row.kernel for name in row.aclnn}
    called = set()
    for source in (OPS.parent / "glue" / "aten" / "kernels").glob("*.cpp"):
        called |= set(re.findall(r"\baclnn::([A-Z]\w*)\(", source.read_text()))
    assert sorted(called - listed) == []
