"""What answers say, in both languages; in a module, as reading a file of data takes longer than an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from wheelmill.pick.model import LABELS, Axis, BlockKind, Lang, Words

Value = str | Words

# `{name}` stands for a value; {package} and {toolkit} for the names of the two axes. Quoted words
# of documents and of release pages stay as they are.
SENTENCES: Mapping[str, tuple[str, str]] = {
    # how a value was read
    "chip": ("Chip {name} is of the family {family}.", "芯片 {name} 属于 {family} 系列。"),
    "system": ("{name} has glibc {glibc} ({title}).", "{name} 的 glibc 是 {glibc}（{title}）。"),
    "assumed system": (
        "No document says which glibc {name} has; {glibc} is taken. {reason} "
        "`ldd --version` shows it there, and --glibc takes it.",
        "没有文档说明 {name} 的 glibc 版本，此处按 {glibc} 处理。{reason}"
        "可在该系统上用 `ldd --version` 查看，并用 --glibc 指定。",
    ),
    "second name": (
        "{toolkit} {name} is another name of {toolkit} {of} ({title}).",
        "{toolkit} {name} 是 {toolkit} {of} 的另一个名称（{title}）。",
    ),
    "patch": (
        "{toolkit} {name} is taken with the wheels of {toolkit} {of} ({title}).",
        "{toolkit} {name} 使用 {toolkit} {of} 的 wheel（{title}）。",
    ),
    "read as": ("{toolkit} {name} is read as {toolkit} {of}.", "{toolkit} {name} 按 {toolkit} {of} 处理。"),
    "read as one": (
        "{toolkit} {name} is read as {toolkit} {of}; there are also {others}.",
        "{toolkit} {name} 按 {toolkit} {of} 处理；另有 {others}。",
    ),
    "build": (
        "{axis} {written} is read as {axis} {of}: its builds are not told apart.",
        "{axis} {written} 按 {axis} {of} 处理：不区分它的各个构建。",
    ),
    "build of torch": (
        "{axis} {written} is read as {axis} {of}: the commands install {installed}, which is another build.",
        "{axis} {written} 按 {axis} {of} 处理：命令安装的是 {installed}，即另一个构建。",
    ),
    # what to know of a wheel
    "line": ("Line {name}", "版本线 {name}"),
    "eol": (
        "{name} reached its end of life{since}: it gets no fixes.{advice}",
        "{name} 的生命周期已终止{since}，不再修复问题。{advice}",
    ),
    "unmaintained": (
        "{name} is no longer maintained: it gets no fixes.{advice}",
        "{name} 已无人维护，不再修复问题。{advice}",
    ),
    "since": (" on {day}", "（{day}）"),
    "successor": (
        " Maintained for Python {python} on {arch}: {wheel}.",
        "对 Python {python}、{arch} 仍在维护的是：{wheel}。",
    ),
    "wheel": (
        "{package} {adapter} with torch {torch}, {toolkit} {cann}",
        "{package} {adapter}（torch {torch}，{toolkit} {cann}）",
    ),
    "wheel for": ("{wheel}, for glibc {glibc} or newer", "{wheel}，需要 glibc {glibc} 或更新"),
    "development": (
        "{name} is in development: its wheel is on no index, you build it.",
        "{name} 处于开发阶段：它的 wheel 不在任何索引中，需要自行构建。",
    ),
    "cann unknown": (
        "{package} {adapter} is on the index, {toolkit} unknown: no document says what it goes with.",
        "{package} {adapter} 在索引中，{toolkit} 未知：没有文档说明它与什么配套。",
    ),
    "placed": (
        "{package} {adapter} with {toolkit} {cann}: by {title}.",
        "{package} {adapter} 与 {toolkit} {cann} 配套，依据：{title}。",
    ),
    "own release": (
        "{package} {adapter} is a release of this project ({record}), and not on the public index.",
        "{package} {adapter} 是本项目的发布（{record}），不在公共索引中。",
    ),
    "branch now": (
        "Its branch {branch} has {package} {adapter} now.",
        "它的分支 {branch} 现在是 {package} {adapter}。",
    ),
    "branch table": (
        "Its branch {branch} has {package} {adapter} in the compatibility table.",
        "它的分支 {branch} 在配套表中是 {package} {adapter}。",
    ),
    "pre-release": ("{package} {adapter} is a pre-release.", "{package} {adapter} 是预发布版本。"),
    "printed": ("This row was published as {words}. {reason}", "这一行公布时写作 {words}。{reason}"),
    "no requirement": (
        "Its METADATA asks for {text}, which is no requirement by name: it is left out here.",
        "它的 METADATA 要求 {text}，这不是按名称的依赖，此处略去。",
    ),
    "audited no policy": (
        "Its symbols are within no manylinux policy (audited on {day}): which C library it needs is unknown.",
        "它的符号不符合任何 manylinux 策略（审计于 {day}）：所需的 C 库版本不可知。",
    ),
    "audited": (
        "Its symbols need {platform}, which is more than its tag says (audited on {day}).",
        "它的符号需要 {platform}，高于标签所声明的平台（审计于 {day}）。",
    ),
    # steps
    "install torch": ("Install PyTorch {version}", "安装 PyTorch {version}"),
    "install dependencies": ("Install what {package} depends on", "安装 {package} 的依赖"),
    "install dependencies of both": (
        "Install what {package} and the Python packages of {toolkit} depend on",
        "安装 {package} 以及 {toolkit} 的 Python 包的依赖",
    ),
    "install adapter": ("Install {package} {version}", "安装 {package} {version}"),
    "build adapter": (
        "Build {package} {version} in a clone of this project, and install it",
        "在本项目的克隆中构建 {package} {version} 并安装",
    ),
    "load": ("Load {cann} (its default place)", "加载 {cann}（默认位置）"),
    "load here": ("Load {cann} (where this machine has it)", "加载 {cann}（本机上的位置）"),
    # why nothing fits
    "given": ("with {values} ", "{values} 的 "),
    "there": ("{given}there is {values}", "{given}{values}"),
    "there are": ("{axis} {values}", "{axis} 有 {values}"),
    "none": ("no {axis}", "没有 {axis}"),
    "unnamed": ("{axis} that no document names", "{axis} 没有文档说明"),
    "yanked": (
        "{package} {adapter} was yanked from the index: {reason}",
        "{package} {adapter} 已从索引撤回：{reason}",
    ),
    "record": (
        "row {branch} ({package} {adapter}): {reason}",
        "{branch} 一行（{package} {adapter}）：{reason}",
    ),
    "no reason": ("no reason is given", "没有说明原因"),
    "requires python": (
        "its METADATA says Requires-Python {asked}, so that pip and uv refuse it for Python {python}",
        "它的 METADATA 写明 Requires-Python {asked}，pip 和 uv 在 Python {python} 上会拒绝它",
    ),
    "index lacks": (
        "the row says that the index has it, and the index does not",
        "这一行写明索引中有它，但索引中没有",
    ),
    "all unknown": (
        "{package} {adapters} is on the index, {toolkit} unknown: "
        "no document says which {toolkit} it goes with",
        "{package} {adapters} 在索引中，{toolkit} 未知：没有文档说明它与哪个 {toolkit} 配套",
    ),
    "needs glibc": (
        "{given}the wheels need glibc {needed} or newer; {wanted} is older than {policy}",
        "{given}wheel 需要 glibc {needed} 或更新；{wanted} 低于 {policy}",
    ),
    "no day": ("{given}no day of publication is known", "{given}发布日期未知"),
    "first day": (
        "{given}the first wheel was published on {day} ({package} {adapter})",
        "{given}首个 wheel 发布于 {day}（{package} {adapter}）",
    ),
    "no stage": (
        "{given}no document gives {package} {adapter} a stage",
        "{given}{package} {adapter} 没有文档给出阶段",
    ),
    "stage": ("{given}{package} {adapter} is {stage}", "{given}{package} {adapter} 的阶段是 {stage}"),
    "stage since": (
        "{given}{package} {adapter} is {stage} since {day}",
        "{given}{package} {adapter} 自 {day} 起的阶段是 {stage}",
    ),
    "unknown chip": (
        "the matrix knows no chip {wanted}; it knows {known}",
        "矩阵中没有芯片 {wanted}；已知的有 {known}",
    ),
    "chip since": (
        "{given}the adapter does not know {chip}; releases since {since} do",
        "{given}适配器不支持 {chip}；{since} 起的版本支持",
    ),
    "planned": (
        "{package} for torch {torch} is planned{when}; {there}",
        "适配 torch {torch} 的 {package} 在计划中{when}；{there}",
    ),
    "when": (" ({text})", "（{text}）"),
    "misprint": (
        "it was published for {branch}, which has {held}: {reason}",
        "它是为 {branch} 公布的，实际是 {held}：{reason}",
    ),
    "not published": ("no index and no row has {value}; {there}", "索引和矩阵中都没有 {value}；{there}"),
    "no wheel": ("no wheel has {value}; {there}", "没有适用于 {value} 的 wheel；{there}"),
    "no document": (
        "no document pairs a wheel with {value}; {there}",
        "没有文档说明与 {value} 配套的 wheel；{there}",
    ),
    "dropped": (
        "{there}; Python {python} ended with {package} {adapter} (torch {torch})",
        "{there}；Python {python} 止于 {package} {adapter}（torch {torch}）",
    ),
    "began": (
        "{there}; Python {python} began with {package} {adapter} (torch {torch})",
        "{there}；Python {python} 始于 {package} {adapter}（torch {torch}）",
    ),
    "other wheels": (
        "{there}; other wheels of {package} have Python {python}",
        "{there}；{package} 的其他 wheel 有 Python {python}",
    ),
    # the text of an answer
    "named": (
        "{package} {adapter} for torch {torch}, {toolkit} {cann}, Python {python}, {arch}",
        "{package} {adapter}，适配 torch {torch}、{toolkit} {cann}、Python {python}、{arch}",
    ),
    "built for": (
        "{torch} (built for {built_for}, proven with {torch})",
        "{torch}（为 {built_for} 编译，已在 {torch} 上验证）",
    ),
    "branch": (" (branch {branch})", "（分支 {branch}）"),
    "unknown": ("unknown", "未知"),
    "for this machine": (
        "For this machine: {values}. Options choose others, --anywhere chooses freely.",
        "适合本机：{values}。可用选项另选，--anywhere 则不考虑本机。",
    ),
    "chosen": ("Not asked for, so chosen: {values}", "未指定，自动选择：{values}"),
    "stage line": ("Stage: {stage}", "阶段：{stage}"),
    "wheel line": ("Wheel: {file}", "wheel：{file}"),
    "wheel day": ("Wheel: {file}, published on {day}", "wheel：{file}，发布于 {day}"),
    "runs in": (
        "Its files run in torch {torch} (wheelmill abi)",
        "它的文件可在 torch {torch} 中运行（wheelmill abi）",
    ),
    "runs by symbols": (
        "Built for torch {torch}; by the symbols of {wheel}, this version runs with {others}, too{refused}",
        "为 torch {torch} 构建；按 {wheel} 的符号，此版本也可运行于 {others}{refused}",
    ),
    "stopped by symbols": (
        "By the symbols of {wheel}, this version does not run in torch {torch}.",
        "按 {wheel} 的符号，此版本不能在 torch {torch} 中运行。",
    ),
    "without cuda": ("{torch} in builds without CUDA", "{torch} 的不含 CUDA 的构建"),
    "pip refuses": (
        "; it requires torch{pin}, so pip refuses to install it there",
        "；它要求 torch{pin}，因此 pip 会拒绝在那里安装它",
    ),
    "needs": (
        "Needs: glibc {glibc} or newer, as {policy} says (ldd --version shows it)",
        "需要：glibc {glibc} 或更新，由 {policy} 规定（ldd --version 可查看）",
    ),
    "image": ("AscendHub image: {image} ({place})", "AscendHub 镜像：{image}（{place}）"),
    "view": ("View: {address}", "视图：{address}"),
    "host": (
        "{address} (HOST is an index with views, if you have one; --index-url names it)",
        "{address}（HOST 是带视图的索引，如果有的话；用 --index-url 指定）",
    ),
    "unmet": (
        "This machine has {value}; no wheel for the rest fits that.",
        "本机是 {value}；其余条件下没有适合它的 wheel。",
    ),
    "warning": ("Warning: {text}", "警告：{text}"),
    "issue": ("Known issue: {text}", "已知问题：{text}"),
    "others": ("Also fit: {values}", "也适合：{values}"),
    "other": ("{adapter} ({toolkit} {cann})", "{adapter}（{toolkit} {cann}）"),
    "if that fails": ("if that fails:", "如果失败："),
    "from day": ("{text} since {day}", "{text}，自 {day}"),
    "to day": ("{text} until {day}", "{text}，至 {day}"),
    "because": ("{text}; {reason}", "{text}；{reason}"),
    "no fit": ("No wheel fits {asked}.", "没有适合 {asked} 的 wheel。"),
    "no row": ("the matrix: it has no installable row", "矩阵（其中没有可安装的行）"),
    "blocking": ("Blocking: {names}", "冲突：{names}"),
    "also": ("{one}, and {other}", "{one}；以及 {other}"),
    "reason": ("{kind}: {reason}", "{kind}：{reason}"),
    "reason of": ("{axis}: {kind}: {reason}", "{axis}：{kind}：{reason}"),
    "nearest": ("Nearest that fit:", "最接近的可用组合："),
    "change": ("change {values}", "改为 {values}"),
    "other than": ("other than {value}", "{value} 以外的型号"),
    "without": ("without a {axis}", "不限{axis}"),
    "change line": ("{changes}: {wheel}", "{changes}：{wheel}"),
    # of a project with a file of its own
    "wheel of": ("{project} {version} for {values}", "{project} {version}，适用于 {values}"),
    "unreleased": ("(not released)", "（未发布）"),
    "no release": ("No release has it yet: it has to be built.", "还没有发布包含它的版本，需要自行构建。"),
    "built here": (
        "No release has it yet; it was built here, from the sources of that moment.",
        "还没有发布包含它的版本；它已在本机用当时的源代码构建。",
    ),
    "a build": ("a build", "自行构建"),
    "no wheel of": ("No wheel of {project} fits {asked}.", "没有适合 {asked} 的 {project} wheel。"),
    "anything": ("anything", "任何条件"),
    "is there": ("{given}there is {axis} {values}", "{given}{axis} 为 {values}"),
    "or newer": ("{value} or newer", "{value} 或更新"),
    "none there": ("none", "无"),
    # after a program
    "ended": (
        "--- wheelmill explain: {program} ended with exit code {code}",
        "--- wheelmill explain：{program} 已结束，退出码 {code}",
    ),
    "killed": (
        "--- wheelmill explain: {program} was killed by {signal}",
        "--- wheelmill explain：{program} 被 {signal} 终止",
    ),
    # what cannot be read
    "unreadable": ("{what}: {found}.", "{what}：{found}。"),
    "unreadable cann": (
        "{value} is not a {toolkit} version; one looks like 7.0.RC1, 6.3.RC3.1 or 8.5.0",
        "{value} 不是 {toolkit} 版本；写法如 7.0.RC1、6.3.RC3.1 或 8.5.0",
    ),
    "unreadable torch": (
        "{value} is not a PEP 440 version; one looks like 2.1.0 or 2.13.0",
        "{value} 不是 PEP 440 版本；写法如 2.1.0 或 2.13.0",
    ),
    "accelerator torch": (
        "{value} is a torch for another accelerator ({build}); {package} needs PyTorch's CPU build",
        "{value} 是面向其他加速器（{build}）的 torch；{package} 需要 PyTorch 的 CPU 版本",
    ),
    "hint accelerator torch": (
        "Ask with `--torch {release}`: the commands of the answer replace that torch.",
        "请改用 `--torch {release}`：答案中的命令会替换该 torch。",
    ),
    "unreadable adapter": (
        "{value} is not a PEP 440 version; one looks like 2.1.0, 2.1.0rc1 or 2.1.0.post3",
        "{value} 不是 PEP 440 版本；写法如 2.1.0、2.1.0rc1 或 2.1.0.post3",
    ),
    "unreadable python": (
        "{value} is not a Python version; one looks like 3.8, 3.11 or cp38",
        "{value} 不是 Python 版本；写法如 3.8、3.11 或 cp38",
    ),
    "python of another kind": (
        "no wheel is for {value}; the wheels are for CPython with its global lock, such as 3.11",
        "没有适用于 {value} 的 wheel；wheel 只面向带全局锁的 CPython，例如 3.11",
    ),
    "unreadable arch": (
        "no wheel is for {value}; there are wheels for aarch64 (arm64) and x86_64 (amd64)",
        "没有适用于 {value} 的 wheel；已有的架构是 aarch64（arm64）和 x86_64（amd64）",
    ),
    "arch of 32 bits": (
        "{value} has 32 bits; there are wheels for 64 bits only: aarch64 (arm64) and x86_64 (amd64)",
        "{value} 是 32 位架构，而 wheel 只有 64 位的：aarch64（arm64）和 x86_64（amd64）",
    ),
    "other python": (
        "this Python is {python}, for which there is no wheel: the answer is for another Python",
        "当前 Python 是 {python}，没有适用于它的 wheel：答案适用于其他 Python",
    ),
    "other machine": (
        "this machine is {arch}, for which there is no wheel: the answer is for another machine",
        "本机是 {arch}，没有适用于它的 wheel：答案适用于其他机器",
    ),
    "unreadable branch": (
        "{value} is not the name of a branch; one looks like v2.1.0-5.0.rc3",
        "{value} 不是分支名；写法如 v2.1.0-5.0.rc3",
    ),
    "unreadable glibc": (
        "{value} is not a version of glibc; one looks like 2.28",
        "{value} 不是 glibc 版本；写法如 2.28",
    ),
    "unreadable chip": (
        "{value} is not a chip; one looks like 910B, A3, 310P3 or Atlas 800I A2",
        "{value} 不是芯片；写法如 910B、A3、310P3 或 Atlas 800I A2",
    ),
    "unreadable date": (
        "{value} is not a day; one looks like 2026-07-27",
        "{value} 不是日期；写法如 2026-07-27",
    ),
    "unreadable index": (
        "{value} is not an address",
        "{value} 不是 https、http 或 file 地址，或带有不能识别的部分",
    ),
    "hint index": (
        "Write it as https://HOST/PATH; a user and a password belong into ~/.netrc.",
        "请写作 https://HOST/PATH；用户名和密码应放在 ~/.netrc 中。",
    ),
    "index": ("index", "索引"),
    "torch index": ("index of torch", "torch 索引"),
    "too long": (
        "{value} is too long; a value has no more than {most} characters",
        "{value} 太长；一个值不能超过 {most} 个字符",
    ),
    "hint axis": ("Leave it out to let the picker choose.", "不写这一项，即自动选择。"),
    "operating system": ("operating system", "操作系统"),
    "unknown system": ("{value} is not one that the matrix knows", "矩阵中没有 {value}"),
    "musl": (
        "{name} has musl; every wheel of {package} needs glibc",
        "{name} 使用 musl，而 {package} 的所有 wheel 都需要 glibc",
    ),
    "hint musl": (
        "Use a container with glibc, such as one of Debian or openEuler.",
        "请使用带 glibc 的容器，例如 Debian 或 openEuler。",
    ),
    "this machine": ("This machine", "本机"),
    "hint system": (
        "Give --glibc instead (`ldd --version` prints it). Known: {known}",
        "请改用 --glibc（`ldd --version` 会显示）。已知的有：{known}",
    ),
    "no axis": ("{project} has no axis {axis}.", "{project} 没有 {axis} 这一项。"),
    "its axes": ("Its axes: {axes}", "可用的有：{axes}"),
    "os or glibc": ("Give --os or --glibc, not both.", "--os 和 --glibc 只能给出一个。"),
    "not of a file": (
        "{option} is not for a project with a file of its own, {file}.",
        "{option} 不适用于有自己项目文件（{file}）的项目。",
    ),
    "only of a file": (
        "--axis is for a project with a file of its own; the adapter has options.",
        "--axis 只用于有自己项目文件的项目；适配器请用各个选项。",
    ),
    "no equals": (
        "--axis {word}: write NAME=VALUE, such as torch=2.13.0.",
        "--axis {word}：请写作 NAME=VALUE，例如 torch=2.13.0。",
    ),
    # of a lock
    "lock name": (
        "A lock file is named pylock.toml or pylock.NAME.toml.",
        "锁定文件的名称应为 pylock.toml 或 pylock.NAME.toml。",
    ),
    "unwritable": ("{path} cannot be written: {error}", "无法写入 {path}：“{error}”"),
    "lock nothing": (
        "{package} {adapter} is on no index, so there is nothing to lock.",
        "{package} {adapter} 不在任何索引中，没有可锁定的内容。",
    ),
    "hint lock nothing": (
        "Build it and install it from the local index; `wheelmill pick` prints the commands.",
        "请自行构建，并从本地索引安装；`wheelmill pick` 会给出命令。",
    ),
    "lock release": (
        "{package} {adapter} is a release of this project, and no index with it was named.",
        "{package} {adapter} 是本项目的发布，但没有指定提供它的索引。",
    ),
    "hint lock release": (
        "Name it with --index-url or $WHEELMILL_INDEX_URL.",
        "请用 --index-url 或 $WHEELMILL_INDEX_URL 指定。",
    ),
    "left out": ("the resolver left out {name}", "求解结果中缺少 {name}"),
    "no dockerfile": (
        "{package} {adapter} is on no index, so no line of a Dockerfile can install it.",
        "{package} {adapter} 不在任何索引中，Dockerfile 无法直接安装它。",
    ),
    "hint no dockerfile": (
        "Build it in a clone of this project (`{build}`), copy the wheel into the image, and install it "
        "there with `pip3 install --no-deps FILE`.",
        "请在本项目的克隆中构建（`{build}`），"
        "把 wheel 复制到镜像中，再用 `pip3 install --no-deps 文件` 安装。",
    ),
    "other bytes": (
        "the index serves {file} with SHA-256 {found}; the catalogue has {recorded}",
        "索引提供的 {file} 的 SHA-256 是 {found}，而记录中是 {recorded}",
    ),
    "hint other bytes": (
        "Two wheels for one Python, or bytes that changed: wheelmill catalogue check tells.",
        "同一 Python 有两个 wheel，或内容已被更换：请运行 wheelmill catalogue check 查看。",
    ),
    "other torch": (
        "the index serves {file} with SHA-256 {found}; the matrix has another",
        "索引提供的 {file} 的 SHA-256 是 {found}，与矩阵中的不同",
    ),
    "old python": (
        "reading uv's lock needs Python 3.11 or newer",
        "读取 uv 的锁定文件需要 Python 3.11 或更新版本",
    ),
    "hint old python": (
        "Run wheelmill with a newer Python.",
        "请用更新的 Python 运行 wheelmill。",
    ),
    "no wheel of it": (
        "{name} {version} has no wheel for this Python and platform",
        "{name} {version} 没有适用于该 Python 和平台的 wheel",
    ),
    "pip elsewhere": (
        "pip cannot resolve for Python {python} on {arch} here.",
        "在本机上，pip 无法为 Python {python}、{arch} 求解。",
    ),
    "hint pip elsewhere": (
        "Install uv, which can: pip install uv.",
        "请安装 uv，它可以：`pip install uv`。",
    ),
    "no hash": (
        "the index gives no SHA-256 of {name} {version}",
        "索引没有给出 {name} {version} 的 SHA-256",
    ),
    "no end": ("{program} did not end within {seconds} s", "{program} 没有在 {seconds} 秒内结束"),
    "unsolved": ("{program} cannot resolve: {text}", "{program} 无法求解：“{text}”"),
    # of doctor and explain
    "unexamined": ("{python} cannot be examined{why}.", "无法检查 {python}{why}。"),
    "why": (": {text}", "：“{text}”"),
    "hint unexamined": (
        "Name a Python of 3.8 or newer with --python, such as --python .venv/bin/python.",
        "请用 --python 指定 3.8 或更新的 Python，例如 --python .venv/bin/python。",
    ),
    "not started": ("{program}: {error}.", "{program}：“{error}”。"),
    "hint not started": (
        "After -- stands a program and its arguments.",
        "-- 之后应是程序及其参数。",
    ),
    "hint not there": (
        "After -- stands a program and its arguments. It is not there, or the interpreter in its first line.",
        "-- 之后应是程序及其参数。该程序或其首行所写的解释器不存在。",
    ),
    "hint not executable": (
        "It cannot be run by itself: name what runs it (-- python FILE), or make it executable (chmod +x).",
        "它不能直接运行：请写出运行它的程序（-- python 文件），或赋予执行权限（chmod +x）。",
    ),
    "file or program": (
        "Name a FILE, or a program after --, not both.",
        "文件和 -- 之后的程序只能给出一个。",
    ),
    "no program": (
        "After -- stands a program, such as: wheelmill explain -- python train.py",
        "-- 之后应是程序，例如：`wheelmill explain -- python train.py`",
    ),
    "no text": (
        "Name a FILE, or give the text on standard input: ... 2>&1 | wheelmill explain",
        "请给出文件名，或从标准输入给出文本：`... 2>&1 | wheelmill explain`",
    ),
    "hint no text": (
        "Name a file with the output, or give it on standard input: ... 2>&1 | wheelmill explain",
        "请给出保存了输出的文件，或从标准输入给出：`... 2>&1 | wheelmill explain`",
    ),
    "not regular": ("{file} is not a regular file.", "{file} 不是普通文件。"),
    "not read": ("{file} cannot be read: {error}.", "无法读取 {file}：“{error}”。"),
    "too much": ("standard input has more than {size} GiB.", "标准输入超过 {size} GiB。"),
    "hint too much": (
        "Give the end of the output: tail -c 10M",
        "请只给出输出的末尾：`tail -c 10M`",
    ),
    "unrecorded": (
        "The catalogue has no hash of this wheel: whether the index has {package} {adapter}, and which file, "
        "is not known. `wheelmill catalogue refresh` records it.",
        "目录中没有该 wheel 的哈希：索引中是否有 {package} {adapter}、是哪个文件，均不可知。"
        "`wheelmill catalogue refresh` 会记录下来。",
    ),
    "locked here": (
        "The lock names files of this machine, where pip found them: it installs here only.",
        "锁文件指向本机上的文件（pip 在那里找到它们），只能在本机安装。",
    ),
    "locked": (
        "Locked: pip3 install -r {path}, or: uv pip install -r {path}",
        "已锁定：pip3 install -r {path}，或 uv pip install -r {path}",
    ),
}
_NAMES: Mapping[str, str] = {"package": LABELS["adapter"], "toolkit": LABELS["cann"]}
_AXES: Mapping[str, str] = {
    "branch": "分支", "date": "日期", "stage": "阶段", "arch": "架构", "chip": "芯片",
}  # fmt: skip
_KINDS: Mapping[BlockKind, str] = {
    "never built": "从未构建", "not published": "未发布", "planned": "计划中", "dropped": "已停止支持",
    "record only": "仅有记录", "yanked": "已撤回", "CANN unknown": "CANN 未知", "end of life": "生命周期终止",
    "policy": "平台策略", "not yet": "尚未发布", "unknown chip": "未知芯片", "elsewhere": "另有组合",
    "no document": "没有文档",
}  # fmt: skip


def say(name: str, /, **values: Value) -> Words:
    """A sentence with its values, in both languages."""
    both = form(name)
    return {"en": both["en"].format_map(_in(values, "en")), "zh": both["zh"].format_map(_in(values, "zh"))}


@cache
def form(name: str) -> Words:
    """A sentence before its values are filled in, with the names of the axes in it."""
    en, zh = SENTENCES[name]
    for key, text in _NAMES.items():
        en, zh = en.replace(f"{{{key}}}", text), zh.replace(f"{{{key}}}", text)
    return {"en": en, "zh": zh}


def _in(values: Mapping[str, Value], lang: Lang) -> Mapping[str, str]:
    return {name: one if isinstance(one, str) else one[lang] for name, one in values.items()}


def told(reason: str, zh: str | None) -> Words:
    """A reason of the matrix, which may have none in Chinese."""
    return {"en": reason, "zh": zh or reason}


def same(text: str) -> Words:
    """What reads the same in both."""
    return {"en": text, "zh": text}


def listed(values: Iterable[Value], en: str = ", ", zh: str = "、") -> Words:
    """Values one after another."""
    both = [same(one) if isinstance(one, str) else one for one in values]
    return {"en": en.join(one["en"] for one in both), "zh": zh.join(one["zh"] for one in both)}


def label(axis: Axis) -> Words:
    """The name of an axis."""
    return {"en": LABELS[axis], "zh": _AXES.get(axis, LABELS[axis])}


def labelled(axis: Axis, value: Value) -> Words:
    """`CANN 8.5.0`."""
    return listed((label(axis), value), " ", " ")


def kind(name: BlockKind) -> Words:
    """The kind of a reason."""
    return {"en": name, "zh": _KINDS[name]}
