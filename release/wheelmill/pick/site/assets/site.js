"use strict";
// Everything works without this file but choosing, filtering, looking up and explaining. No request is ever made.
(() => {
  const $ = (id) => document.getElementById(id);
  const json = (id) => JSON.parse($(id).textContent);
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (all, name) => (name in values ? values[name] : all));

  /** An element with attributes and children; text stays text. */
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "click") element.addEventListener("click", value);
      else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };

  /** A value as one word of a shell, as the command quotes it. */
  const word = (value) => {
    const seen = value.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
      (one) => "\\u" + one.charCodeAt(0).toString(16).padStart(4, "0"));
    return /^[A-Za-z0-9_@%+=:,./-]*$/.test(seen) ? seen : "'" + seen.replaceAll("'", "'\"'\"'") + "'";
  };

  /** Text with `code` in it, as nodes. */
  const spans = (text) => text.split("`").map((part, at) => (at % 2 ? make("code", {}, part) : part));

  /** Copy text, also where the page is a file. */
  const copy = (text, button, words) => {
    const done = () => {
      button.textContent = words.copied;
      setTimeout(() => (button.textContent = words.copy), 1500);
    };
    const byHand = () => {
      const area = make("textarea", { readonly: "", "aria-hidden": "true" });
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
      done();
    };
    if (navigator.clipboard && window.isSecureContext) navigator.clipboard.writeText(text).then(done, byHand);
    else byHand();
  };

  /** What the address names on this page; as it stands, where its escapes mean nothing. */
  const anchor = () => {
    const text = location.hash.slice(1);
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  };

  window.wheelmill = {}; // what the tests compare with the command

  // ------------------------------------------------------------------------------------------------- language
  const language = $("language");
  const plain = language.getAttribute("href");
  const keepChoice = () => language.setAttribute("href", plain + location.hash);
  addEventListener("hashchange", keepChoice);
  keepChoice();

  // Where the pages' names are one line that scrolls, this page's is in sight.
  const current = document.querySelector(".top nav [aria-current]");
  if (current) {
    const box = current.parentElement.getBoundingClientRect(), own = current.getBoundingClientRect();
    current.parentElement.scrollLeft += own.left - box.left - (box.width - own.width) / 2;
  }

  // --------------------------------------------------------------------------------------------------- picker
  const picker = () => {
    const data = json("data");
    const words = json("words");
    const column = Object.fromEntries(data.columns.map((name, at) => [name, at]));
    const label = (axis) => words["axis_" + axis];
    const number = (text) => text.split(".").map(Number);
    const notAbove = (one, other) => {
      const [a, b] = [number(one), number(other)];
      return a[0] !== b[0] ? a[0] < b[0] : a[1] <= b[1];
    };
    const AXES = ["chip", "cann", "torch", "python", "arch", "glibc", "date", "stage", "adapter", "branch"];
    const EXACT = ["adapter", "branch"]; // folded away: few ask for them
    const COSTS = data.spellings.costs; // what it costs to change an axis, as the command ranks it
    const values = {
      chip: data.chips.map((one) => one.key),
      glibc: data.systems.map((one) => one.glibc),
      stage: ["supported"],
      ...data.axes,
    };
    const chips = Object.fromEntries(data.chips.map((one) => [one.key, one.offers && new Set(one.offers)]));
    let state = {};
    let installer = "pip";

    // ---- the day: what had been published by then, and the stages of then
    const isDay = (text) => {
      const day = /^\d{4}-\d\d-\d\d$/.test(text) && text >= "0001" ? new Date(text) : NaN;
      return !isNaN(day) && day.toISOString().startsWith(text);
    };
    let today = data.day; // or the day that is chosen
    const stageOf = (place) => {
      const history = data.histories[data.offers[place][column.series]] || [["", "none"]];
      return history.filter(([from]) => from <= today).pop()[1];
    };
    const SUPPORTED = ["maintained", "development"]; // the better one first
    const supported = (place) => SUPPORTED.includes(stageOf(place));
    const orders = new Map();
    /** All offers, the best on that day first, as the command sorts them. */
    const order = () => {
      if (!orders.has(today)) {
        const keys = data.offers.map((offer, place) => [
          offer[column.tier], supported(place) ? SUPPORTED.indexOf(stageOf(place)) : SUPPORTED.length, offer[column.rank],
        ]);
        orders.set(today, data.offers.map((_, place) => place).sort((one, other) => compare(keys[one], keys[other])));
      }
      return orders.get(today);
    };

    const isLibrary = (value) => /^2\.\d{1,3}$/.test(value);
    /** Whether the offer at a place serves a value of an axis. */
    const serves = (place, axis, value) => {
      const offer = data.offers[place];
      if (axis === "chip") return Object.hasOwn(chips, value) && (chips[value] === null || chips[value].has(place));
      if (axis === "glibc") return isLibrary(value) && (offer[column.glibc] === null || notAbove(offer[column.glibc], value));
      if (axis === "stage") return value === "supported" && supported(place);
      if (axis === "date") return isDay(value) && offer[column.date] >= 0 && data.axes.date[offer[column.date]] <= value;
      const wanted = axis === "cann" && Object.hasOwn(data.names, value) ? data.names[value] : value;
      return offer[column[axis]] >= 0 && data.axes[axis][offer[column[axis]]] === wanted;
    };
    // Sets of offers are whole numbers with a bit per offer.
    const masks = new Map();
    const ALL = (1n << BigInt(data.offers.length)) - 1n;
    const serving = (axis, value) => {
      const key = axis + "=" + value + (axis === "stage" ? today : "");
      if (!masks.has(key)) {
        const bits = data.offers.map((_, place) => (serves(place, axis, value) ? "1" : "0")).reverse();
        masks.set(key, BigInt("0b0" + bits.join("")));
      }
      return masks.get(key);
    };
    const fitting = (asked) => Object.entries(asked).reduce((mask, [axis, value]) => mask & serving(axis, value), ALL);
    /** The places of a set, the best first. */
    const placesOf = (mask) => {
      const bits = mask.toString(2);
      return order().filter((place) => bits[bits.length - 1 - place] === "1");
    };
    const without = (asked, ...axes) => Object.fromEntries(Object.entries(asked).filter(([axis]) => !axes.includes(axis)));

    /** Every set of asked axes that no offer has together and that has no such set within it. */
    const conflicts = (asked) => {
      const axes = Object.keys(asked);
      const found = [];
      for (let size = 1; size <= axes.length; size++) {
        for (const some of subsets(axes, size)) {
          if (found.some((one) => one.every((axis) => some.includes(axis)))) continue;
          if (!fitting(Object.fromEntries(some.map((axis) => [axis, asked[axis]])))) found.push(some);
        }
      }
      return found;
    };
    const subsets = (list, size) => {
      if (size === 0) return [[]];
      return list.flatMap((first, at) => subsets(list.slice(at + 1), size - 1).map((rest) => [first, ...rest]));
    };
    // ---- what is near: the same ranking as the command's (pick/explain.py), from the same offers
    const ALTERNATIVES = 6, NEAREST = 3;
    const AXES_BY_COST = Object.keys(COSTS);
    const bestOf = (mask) => placesOf(mask)[0];
    const compare = (one, other) => {
      const both = Math.min(one.length, other.length);
      for (let at = 0; at < both; at++) if (one[at] !== other[at]) return one[at] < other[at] ? -1 : 1;
      return Math.sign(one.length - other.length);
    };
    const PATTERNS = Object.fromEntries(Object.entries(data.spellings.patterns).map(([name, text]) => [name, new RegExp("^(?:" + text + ")", "i")]));
    /** The groups of a text that is wholly of a pattern; null where it is not. */
    const whole = (name, text) => {
      const found = new RegExp(PATTERNS[name].source + "$", "i").exec(text);
      return found && found.index === 0 ? found : null;
    };
    const plainNumber = (digits) => digits.replace(/^0+(?=\d)/, "") || "0";
    /** A version of PEP 440: as it is written without its local part, that part, and the numbers that it sorts by. */
    const versionOf = (text) => {
      const found = whole("version", text.trim());
      if (!found) return null;
      const [, epoch, numbers, kind, pre, dashed, post, postNumber, dev, devNumber, local] = found;
      const release = numbers.split(".").map(plainNumber);
      const early = kind && { a: "a", b: "b" }[kind[0].toLowerCase()] || (kind && "rc");
      const later = dashed !== undefined ? plainNumber(dashed) : post ? plainNumber(postNumber) : null;
      const unripe = dev ? plainNumber(devNumber) : null;
      const name = (epoch && +epoch ? plainNumber(epoch) + "!" : "") + release.join(".") + (early ? early + plainNumber(pre) : "") +
        (later !== null ? ".post" + later : "") + (unripe !== null ? ".dev" + unripe : "");
      const padded = release.concat(Array(data.spellings.longest).fill("0")).slice(0, data.spellings.longest).map(Number);
      const stage = early ? ["a", "b", "rc"].indexOf(early) : unripe !== null && later === null ? -1 : 3;
      const key = [+(epoch || 0), ...padded, stage, early ? +pre : 0, later === null ? -1 : +later, unripe === null ? Infinity : +unripe];
      return { name, key, local: (local || "").toLowerCase().split(/[-_.]/).map((one) => (/^\d+$/.test(one) ? plainNumber(one) : one)).join("."), series: (epoch ? +epoch : 0) + "!" + release.slice(0, 2).join(".") };
    };
    const versionKey = (text) => {
      const found = versionOf(text);
      return found && Object.assign(found.key, { series: found.series });
    };
    const cannKey = (text) => {
      const found = whole("cann", text.trim());
      if (!found) return null;
      const more = found[6].split(".").filter(Boolean).map(Number);
      while (more.length && !more[more.length - 1]) more.pop();
      const early = found[7] ? [found[7].toLowerCase() === "alpha" ? 0 : 1, +found[8]] : [2, 0];
      const stage = found[3] ? [0, +found[4]] : [1, +found[5]];
      return Object.assign([+found[1], +found[2], ...stage, ...(more.length ? more : [0]), ...early], { series: +found[1] + "." + +found[2] });
    };
    const branchKey = (text) => [text.toLowerCase().replace(/^v/, "")];
    const KEYS = { adapter: versionKey, branch: branchKey, torch: versionKey, python: number, cann: cannKey, glibc: number, date: (text) => [text] };
    const valueAt = (place, axis) => {
      const offer = data.offers[place];
      if (axis === "glibc") return offer[column.glibc];
      return axis === "chip" || axis === "stage" ? null : offer[column[axis]] >= 0 ? data.axes[axis][offer[column[axis]]] : null;
    };
    const having = new Map();
    const havingOf = (axis) => {
      if (!having.has(axis)) {
        const found = new Map();
        data.offers.forEach((_, place) => {
          const value = valueAt(place, axis);
          if (value !== null) found.set(value, (found.get(value) || 0n) | (1n << BigInt(place)));
        });
        having.set(axis, [...found].map(([value, mask]) => ({ value, mask, key: KEYS[axis](value) })).sort((a, b) => compare(a.key, b.key)));
      }
      return having.get(axis);
    };
    const outward = (list, target) => {
      let above = list.findIndex((one) => compare(one.key, target) >= 0);
      if (above < 0) above = list.length;
      const found = [];
      for (let below = above - 1; below >= 0 || above < list.length; ) {
        if (above < list.length) found.push(list[above++]);
        if (below >= 0) found.push(list[below--]);
      }
      return found;
    };
    /** How many letters are to be put in, left out or changed to make a beginning of a name, and all of it. */
    const slips = (asked, name) => {
      let before = [...Array(name.length + 1).keys()];
      [...asked].forEach((letter, at) => {
        const row = [at + 1];
        [...name].forEach((found, place) => row.push(Math.min(before[place + 1] + 1, row[place] + 1, before[place] + (letter !== found))));
        before = row;
      });
      return [Math.min(...before), before[before.length - 1]];
    };
    const byDistance = (axis, target, list) => {
      if (axis === "branch") {
        const distance = (one) => slips(target[0], one.key[0]);
        return [...list].reverse().sort((one, other) => compare(distance(one), distance(other)));
      }
      if (axis === "glibc" || axis === "date" || !target) return list;
      const same = (one) => one.key.series === target.series;
      const up = (one) => compare(one.key, target) > 0;
      if (axis === "cann") {
        const down = [...list].reverse();
        return [...down.filter((one) => !up(one) && same(one)), ...list.filter((one) => up(one) && same(one)),
          ...down.filter((one) => !up(one) && !same(one)), ...list.filter((one) => up(one) && !same(one))];
      }
      if (axis === "python") return outward(list, target);
      return [...outward(list.filter(same), target), ...outward(list.filter((one) => !same(one)), target)];
    };
    const nearest = (mask, axis, wanted) => {
      if (!(axis in KEYS)) return mask ? [mask] : [];
      const found = byDistance(axis, KEYS[axis](wanted), havingOf(axis)).map((one) => mask & one.mask).filter(Boolean).slice(0, NEAREST);
      return found.length || !mask ? found : [mask];
    };
    const narrowed = (asked, axes, mask) => {
      if (!axes.length) return [mask];
      return nearest(mask, axes[0], asked[axes[0]]).map((one) => narrowed(asked, axes.slice(1), one)[0]);
    };
    const cost = (axes) => axes.reduce((sum, axis) => sum + COSTS[axis], 0);
    /** The nearest offers: the cheapest axes to change first, then the nearest values, then the best. */
    const alternatives = (choice) => {
      const asked = Object.fromEntries(AXES_BY_COST.filter((axis) => axis in choice).map((axis) => [axis, axis === "cann" && Object.hasOwn(data.names, choice.cann) ? data.names[choice.cann] : choice[axis]]));
      const names = Object.keys(asked);
      const sets = names.flatMap((_, size) => subsets(names, size + 1)).sort((one, other) => cost(one) - cost(other));
      const found = [], enough = [];
      for (const axes of sets) {
        if (found.length >= ALTERNATIVES) break;
        if (enough.some((one) => one.every((axis) => axes.includes(axis)))) continue;
        const kept = fitting(without(asked, ...axes));
        if (!kept) continue;
        enough.push(axes);
        const order = [...axes].sort((one, other) => COSTS[other] - COSTS[one] || AXES_BY_COST.indexOf(one) - AXES_BY_COST.indexOf(other));
        const seen = new Set();
        for (const mask of narrowed(asked, order, kept)) {
          const place = bestOf(mask);
          const key = data.offers[place][column.key];
          if (seen.has(key)) continue;
          seen.add(key);
          const changes = Object.fromEntries(axes.map((axis) => [axis, valueAt(place, axis)]));
          found.push({ place, key, changes });
        }
      }
      return found.slice(0, ALTERNATIVES);
    };
    const valuesOf = (mask, axis) => values[axis].filter((value) => mask & serving(axis, value));
    const shown = (axis, value) => (axis === "stage" && value === "supported" ? words.supported : value);
    const named = (asked) => Object.entries(asked).map(([axis, value]) => label(axis) + " " + shown(axis, value)).join(" " + words.and + " ");
    const listed = (list) => (list.length <= 8 ? list.join(", ") : list.slice(0, 6).join(", ") + ", … " + list[list.length - 1]);

    /** Why a value cannot be chosen with the rest; null when it can. */
    const why = (axis, value) => {
      const others = without(state, axis);
      if (fitting(others) & serving(axis, value)) return null;
      const names = Object.keys(others);
      for (let size = 1; size <= names.length; size++) {
        for (const some of subsets(names, size)) {
          const given = Object.fromEntries(some.map((name) => [name, others[name]]));
          const mask = fitting(given);
          if (mask & serving(axis, value)) continue;
          const there = valuesOf(mask, axis);
          return fill(there.length ? words.why_not : words.why_none, { given: named(given), axis: label(axis), values: listed(there.map((one) => shown(axis, one))) });
        }
      }
      return words.no_fit;
    };

    // ---- the address
    // Every reader gives a value as the tiles have it, or null where the command refuses the text.
    const sameAs = (axis, name, all) => {
      const key = KEYS[axis](name);
      return all.find((one) => compare(KEYS[axis](one), key) === 0) || name;
    };
    /** The tile of a chip's or a product's name, as the command reads it: 910B4-1 is a 910B4, 800I A2 an A2. */
    const chipOf = (text) => {
      const wanted = text.trim().replace(PATTERNS.chip_prefix, "").trim().replace(/\s+/g, " ").toLowerCase();
      if (!whole("chip", wanted)) return null;
      const all = data.chips.flatMap((one) => one.names.map((name) => ({ key: one.key, name: name.toLowerCase() })));
      const begun = all.filter(({ name }) => wanted.startsWith(name) && /^(?=.*\D)\d\w*$/.test(name) && /^(?:\d|[-_]\w)[\w-]*$/.test(wanted.slice(name.length)));
      const longest = begun.sort((one, other) => other.name.length - one.name.length)[0];
      return (all.find(({ name }) => name === wanted) || longest || { key: wanted.toUpperCase() }).key;
    };
    /** Of CANN 8.0 the first final release, of CANN 8.3 the newest that there is. */
    const cannOf = (text) => {
      const short = whole("short_cann", text.trim());
      const known = short ? values.cann.filter((one) => cannKey(one).series === short[1]) : [];
      if (!short && !cannKey(text)) return null;
      const bare = !short ? text.trim().replace(PATTERNS.cann_prefix, "").replace(/rc/i, "RC")
        : known.includes(short[1] + ".0") || !known.length ? short[1] + ".0" : known[0];
      return sameAs("cann", bare, [...Object.keys(data.names), ...values.cann]);
    };
    const adapterOf = (text) => {
      const found = versionOf(text);
      return found && sameAs("adapter", found.name, values.adapter);
    };
    /** A torch for another accelerator is none that a wheel here goes with. */
    const torchOf = (text) => {
      const found = versionOf(text);
      return found && !PATTERNS.other_torch.test(found.local) ? sameAs("torch", found.name, values.torch) : null;
    };
    const pythonOf = (text) => {
      const found = whole("python", text.trim());
      return found && "3." + plainNumber(found[1] || found[2]);
    };
    const archOf = (text) => {
      const name = text.trim().toLowerCase().replaceAll("-", "_");
      return Object.hasOwn(data.spellings.arches, name) ? data.spellings.arches[name] : null;
    };
    /** Also from the first line of `ldd --version`. */
    const glibcOf = (text) => {
      const line = text.trim().split("\n")[0].trim();
      const ldd = whole("ldd", line);
      const found = whole("glibc", ldd ? ldd[1] : line);
      return found && +found[1] === 2 && +found[2] <= 999 ? "2." + +found[2] : null;
    };
    const branchOf = (text) => (whole("branch", text.trim()) ? sameAs("branch", text.trim(), values.branch) : null);
    const dateOf = (text) => (isDay(text.trim()) ? text.trim() : null);
    const READERS = { chip: chipOf, cann: cannOf, torch: torchOf, python: pythonOf, arch: archOf, glibc: glibcOf, branch: branchOf, date: dateOf, adapter: adapterOf };
    const tooLong = (text) => text.length > data.spellings.longest;
    const valueOf = (axis, text) => (axis in READERS && !tooLong(text) && READERS[axis](text)) || text;
    /** The C library of a system, as the command reads it: 20.04.6 is 20.04, and Euler is EulerOS. */
    const libraryOf = (text) => {
      const words = tooLong(text) ? null : PATTERNS.system.exec(text);
      if (!words) return null;
      const names = [words[1].toLowerCase(), words[1].toLowerCase() + "os"];
      const wanted = words[2].toLowerCase().replace(/^v+/, "").split(".");
      const found = data.spellings.systems.find(([name, release]) => {
        const own = release.toLowerCase().replace(/^v+/, "").split(".");
        return names.includes(name.toLowerCase()) && own.join(".") === wanted.slice(0, own.length).join(".");
      });
      return found ? found[2] : null;
    };
    Object.assign(window.wheelmill, { versionOf, compare });
    let strange = []; // what the address has besides
    let builds = []; // versions in it that name a build, of which the tiles have the release
    const noteBuild = (axis, text, value) => {
      const found = versionOf(text);
      if (found && found.local && value !== text) builds.push({ axis, of: value, written: found.name + "+" + found.local });
    };
    /** What the command says of them: of a torch whose commands are shown, only where they install another build. */
    const buildNotes = (commands) => builds.flatMap((one) => {
      const installed = one.axis === "torch" && commands.split(/\s/).find((word) => word.startsWith("torch=="));
      if (installed === "torch==" + one.written) return [];
      const text = installed ? words.said_build_of_torch : words.said_build;
      return [make("p", { class: "note", "data-build": one.axis }, fill(text, { ...one, installed, axis: label(one.axis) }))];
    });
    const read = () => {
      const found = {};
      strange = [];
      builds = [];
      const hash = location.hash.slice(1);
      const spaced = [...new URLSearchParams(hash)];
      const literal = [...new URLSearchParams(hash.replaceAll("+", "%2B"))]; // 2.1.0+cpu is a version
      let system = "";
      spaced.forEach(([axis, text], at) => {
        if (!text) return;
        if (axis === "installer") installer = text === "uv" ? "uv" : "pip";
        else if (axis === "os") system = text;
        else if (AXES.includes(axis)) {
          const given = ["torch", "adapter", "branch"].includes(axis) ? literal[at][1] : text;
          found[axis] = valueOf(axis, given);
          if (axis === "torch" || axis === "adapter") noteBuild(axis, given, found[axis]);
        } else strange.push(axis);
      });
      // What cannot be read stays as it was given, and no offer has it.
      if (system) found.glibc = found.glibc ? "os=" + system + ", glibc=" + found.glibc : libraryOf(system) || "os=" + system;
      return found;
    };
    const write = (next) => {
      const search = new URLSearchParams();
      for (const axis of AXES) if (next[axis]) search.set(axis, next[axis]);
      if (installer === "uv") search.set("installer", "uv");
      const hash = search.toString();
      if (hash === location.hash.slice(1)) show();
      else location.hash = hash;
    };
    const choose = (axis, value) => {
      const next = { ...state };
      if (next[axis] === value) delete next[axis];
      else next[axis] = value;
      write(next);
    };

    // ---- the axes
    const tileOf = (axis, value) => {
      const chip = axis === "chip" && data.chips.find((one) => one.key === value);
      const system = axis === "glibc" && data.systems.find((one) => one.glibc === value);
      const systems = system ? [...system.systems, ...system.assumed.map((name) => fill(words.no_source, { name }))] : [];
      const small = chip ? chip.hint : systems.join(", ");
      const tile = make("button", { type: "button", class: "tile", "data-axis": axis, "data-value": value, "aria-pressed": "false" }, shown(axis, value));
      if (small) tile.append(make("small", {}, small));
      const reason = make("span", { class: "why", id: "why-" + axis + "-" + value.replace(/\W/g, "_"), role: "tooltip" });
      tile.append(reason);
      tile.addEventListener("click", () => {
        if (tile.getAttribute("aria-disabled") !== "true" || state[axis] === value) choose(axis, value);
      });
      const flip = () => tile.classList.toggle("flip", tile.getBoundingClientRect().left > innerWidth * 0.45);
      tile.addEventListener("pointerenter", flip);
      tile.addEventListener("focus", flip);
      return tile;
    };
    const clearOf = (axis) => make("button", { type: "button", class: "clear", click: () => choose(axis, state[axis]) }, fill(words.clear, { axis: label(axis) }));
    /** The one axis that has a field and no tiles. */
    const dayGroup = () => {
      const field = make("input", { type: "date", id: "day", "data-axis": "date", "aria-describedby": "day-hint", "aria-label": label("date") });
      field.addEventListener("change", () => write({ ...state, date: field.value }));
      return make("fieldset", { id: "axis-date" }, make("legend", {}, make("span", {}, label("date")), clearOf("date")), field,
        make("small", { id: "day-hint" }, fill(words.date_hint, { day: data.day })));
    };
    const group = (axis) => {
      if (axis === "date") return dayGroup();
      const tiles = make("div", { class: "tiles" }, ...values[axis].map((value) => tileOf(axis, value)));
      tiles.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        const all = [...tiles.children].filter((one) => !one.hidden);
        const at = all.indexOf(document.activeElement);
        const to = event.key === "Home" ? 0 : event.key === "End" ? all.length - 1 : step ? (at + step + all.length) % all.length : -1;
        if (to < 0 || at < 0) return;
        event.preventDefault();
        for (const one of all) one.tabIndex = -1;
        all[to].tabIndex = 0;
        all[to].focus();
      });
      const set = make("fieldset", { id: "axis-" + axis }, make("legend", {}, make("span", {}, label(axis)), clearOf(axis)), tiles);
      return set;
    };
    const update = () => {
      for (const axis of AXES) {
        const set = $("axis-" + axis);
        set.querySelector(".clear").hidden = !(axis in state);
        const tiles = [...set.querySelectorAll(".tile")];
        if (!tiles.length) continue;
        let stop = null;
        for (const tile of tiles) {
          const value = tile.dataset.value;
          const places = placesOf(serving(axis, value));
          tile.classList.toggle("old", places.length > 0 && places.every((place) => stageOf(place) === "eol"));
          const chosen = state[axis] === value || (axis === "cann" && data.names[state.cann] === value);
          const reason = why(axis, value);
          tile.setAttribute("aria-pressed", String(chosen));
          tile.setAttribute("aria-disabled", String(reason !== null));
          const text = tile.querySelector(".why");
          text.textContent = reason || "";
          text.hidden = reason === null;
          if (reason) tile.setAttribute("aria-describedby", text.id);
          else tile.removeAttribute("aria-describedby");
          tile.tabIndex = -1;
          if (chosen || (stop === null && reason === null)) stop = chosen || stop === null ? tile : stop;
        }
        const focused = tiles.includes(document.activeElement) ? document.activeElement : null;
        (focused || stop || tiles[0]).tabIndex = 0;
      }
      $("day").value = isDay(state.date || "") ? state.date : "";
      if (EXACT.some((axis) => axis in state)) $("exact").open = true;
    };

    // ---- the answer
    const scriptOf = (offer) => {
      const lines = [];
      offer[column.steps].forEach((at, n) => {
        const step = data.steps[at];
        const commands = installer === "uv" && step.uv.length ? step.uv : step.pip;
        if (lines.length) lines.push("");
        lines.push("# " + (n + 1) + ". " + step.title, ...commands.map((one) => one.replaceAll("{sha256}", offer[column.sha256])));
        if (step.fallback.length) lines.push("# " + words.fallback, ...step.fallback.map((one) => "#   " + one));
      });
      return lines.join("\n");
    };
    const versionPage = (adapter) => "version/" + adapter + ".html";
    const answer = (places) => {
      const offer = data.offers[places[0]];
      const of = (axis) => (offer[column[axis]] >= 0 ? data.axes[axis][offer[column[axis]]] : words.unknown);
      const text = scriptOf(offer);
      const stage = stageOf(places[0]);
      const facts = ["PyTorch " + of("torch"), "CANN " + of("cann"), "Python " + of("python"), of("arch")];
      const warnings = [];
      if (Object.hasOwn(data.names, state.cann || "")) warnings.push(make("p", { class: "note" }, fill(words.second_name, { name: state.cann, of: data.names[state.cann] })));
      if (stage === "eol") warnings.push(make("p", { class: "note warn" }, words.eol_warning));
      if (offer[column.from] === "build") warnings.push(make("p", { class: "note warn" }, words.build_warning));
      if (offer[column.built_for]) warnings.push(make("p", { class: "note" }, fill(words.built_for, { of: offer[column.built_for], torch: of("torch") })));
      if (offer[column.cann] < 0) warnings.push(make("p", { class: "note" }, words.cann_unknown));
      const issues = data.issues[offer[column.issues]];
      const copyButton = make("button", { type: "button", class: "button primary", id: "copy" }, words.copy);
      copyButton.addEventListener("click", () => copy(text, copyButton, words));
      const tools = ["pip", "uv"].map((name) =>
        make("button", { type: "button", class: "button", "aria-pressed": String(installer === name), "data-installer": name, click: () => { installer = name; write(state); } }, name));
      const others = [...new Set(places.map((place) => data.axes.adapter[data.offers[place][column.adapter]]))].slice(1, 6);
      $("result").replaceChildren(
        make("h2", { "data-key": offer[column.key] }, make("a", { href: versionPage(of("adapter")) }, "torch_npu " + of("adapter"))),
        make("p", { class: "sum" }, facts.join(" · ")),
        make("p", {}, make("span", { class: "stage " + stage }, words["stage_" + stage]), offer[column.glibc] ? " · " + fill(words.needs_glibc, { glibc: offer[column.glibc] }) : ""),
        ...warnings,
        make("div", { class: "bar" }, copyButton, make("span", { class: "switch", role: "group", "aria-label": words.installer }, ...tools), resetButton()),
        lockOf(offer),
        issues.length ? make("details", { class: "issues" }, make("summary", {}, words.notes_known + " (" + issues.length + ")"), make("ul", {}, ...issues.map((one) => make("li", {}, ...spans(one))))) : "",
        make("pre", { class: "commands", id: "commands", tabindex: "0", role: "region", "aria-label": words.commands }, make("code", {}, text)),
        others.length ? make("p", { class: "muted" }, words.also + words.colon, ...others.flatMap((name, at) => [at ? ", " : "", make("a", { href: versionPage(name) }, name)])) : "",
        make("p", { class: "muted on-screen" }, words.link_of_choice),
      );
    };
    /** The requirements with every hash that is known, as a file; made here, nothing is asked for. */
    const pinsOf = (offer) => data.pins[offer[column.pins]].map((line) => line.replaceAll("{sha256}", offer[column.sha256]));
    const lockOf = (offer) => {
      const lines = pinsOf(offer);
      if (!lines.length) return "";
      const name = "torch_npu-" + data.axes.adapter[offer[column.adapter]] + ".txt";
      const text = "# pip install --no-deps --require-hashes -r " + name + "\n" + lines.join("\n") + "\n";
      return make("p", { class: "on-screen" }, make("a", { id: "lock", download: name, href: "data:text/plain;charset=utf-8," + encodeURIComponent(text) }, words.download_lock), " (" + name + ")");
    };
    const resetButton = () => make("button", { type: "button", class: "button", id: "reset", click: () => write({}) }, words.reset);
    const said = (what, found) => fill(words.said_unreadable, { what, found });
    /** The part of a value that has another C library than the wheels need; null where it has none. */
    const muslOf = (value) => {
      const system = value.startsWith("os=") && PATTERNS.system.exec(value.slice(3));
      if (system) return data.spellings.musl.includes(system[1].toLowerCase()) ? value.slice(3) : null;
      return /^musl/i.test(value.trim()) ? value : null;
    };
    /** What the wheels need that fit the rest, in the words of the command. */
    const libraryNeeded = (axes) => {
      const others = Object.fromEntries(axes.filter((axis) => axis !== "glibc").map((axis) => [axis, state[axis]]));
      const found = placesOf(fitting(others)).map((place) => valueAt(place, "glibc")).filter((one) => one !== null);
      const needed = found.reduce((low, one) => (notAbove(low, one) ? low : one), found[0]);
      if (!needed) return null;
      const given = axes.length > 1 ? fill(words.said_given, { values: named(others) }) : "";
      return fill(words.said_needs_glibc, { given, needed, wanted: state.glibc, policy: "manylinux_" + needed.replace(".", "_") });
    };
    /** Why a value is none of its axis. */
    const lacking = (axis, value) => {
      const musl = axis === "glibc" && muslOf(value);
      if (musl) {
        const what = value.startsWith("os=") ? words.said_operating_system : label(axis);
        return said(what, fill(words.said_musl, { name: "'" + musl + "'" })) + " " + words.said_hint_musl;
      }
      if (axis === "glibc" && isLibrary(value)) return said(label(axis), libraryNeeded([axis]));
      const day = isDay(value) ? words.early_day : words.unknown_day;
      if (axis === "glibc" && value.startsWith("os=")) {
        const both = value.includes(", glibc=");
        return fill(both ? words.os_or_glibc : words.unknown_system, { value: both ? value : value.slice(3) });
      }
      return fill(axis === "date" ? day : words.unknown_value, { axis: label(axis), value });
    };
    const refusal = () => {
      const found = conflicts(state);
      const parts = [];
      for (const axes of found) {
        const together = axes.length > 1 && words.blocking + words.colon + named(Object.fromEntries(axes.map((axis) => [axis, state[axis]])));
        parts.push(make("p", { class: "note warn", "data-conflict": axes.join(" ") }, together || lacking(axes[0], state[axes[0]])));
        const needed = together && axes.includes("glibc") && libraryNeeded(axes);
        if (needed) parts.push(make("p", { class: "muted", "data-needed": "" }, said(label("glibc"), needed)));
      }
      const axes = [...new Set(found.flat())].sort((one, other) => COSTS[one] - COSTS[other]);
      for (const axis of axes) {
        const there = valuesOf(fitting(without(state, axis)), axis);
        if (!there.length) continue;
        const links = there.slice(0, 8).map((value) => make("button", { type: "button", class: "tile", "data-change": axis, "data-to": value, click: () => write({ ...state, [axis]: value }) }, shown(axis, value)));
        parts.push(make("h3", {}, fill(words.change, { axis: label(axis) })), make("div", { class: "tiles" }, ...links));
      }
      const near = alternatives(state);
      if (near.length) {
        const links = near.map((one) => {
          const next = { ...state };
          const said = Object.entries(one.changes).map(([axis, value]) => {
            if (value === null) delete next[axis];
            else next[axis] = value;
            return fill(value === null ? words.leave_out : words.change_to, { axis: label(axis), value });
          });
          const offer = data.offers[one.place];
          const of = (axis) => valueAt(one.place, axis) || words.unknown;
          return make("li", { "data-near": offer[column.key], "data-axes": Object.keys(one.changes).sort().join(" ") },
            make("button", { type: "button", class: "tile", click: () => write(next) }, said.join(", ")),
            " torch_npu " + of("adapter") + " · PyTorch " + of("torch") + " · CANN " + of("cann") + " · Python " + of("python") + " · " + of("arch"));
        });
        parts.push(make("h3", {}, words.nearest), make("ol", { class: "near" }, ...links));
      }
      $("result").replaceChildren(make("h2", { "data-nofit": "" }, words.no_fit), ...parts, make("div", { class: "bar" }, resetButton()));
    };
    const show = () => {
      state = read();
      today = isDay(state.date || "") ? state.date : data.day;
      const mask = fitting(state);
      if (mask) answer(placesOf(mask));
      else refusal();
      const commands = $("commands");
      $("result").querySelector("h2").after(...buildNotes(commands ? commands.textContent : ""));
      if (strange.length) $("result").append(make("p", { class: "note", "data-strange": "" }, fill(words.not_read, { names: strange.join(", ") })));
      $("peek").textContent = $("result").querySelector("h2").textContent + " ↓";
      update();
    };

    $("axes").append(...AXES.filter((axis) => !EXACT.includes(axis)).map(group),
      make("details", { class: "exact", id: "exact" }, make("summary", {}, words.exact), ...EXACT.map(group)));
    $("peek").addEventListener("click", () => $("result").scrollIntoView());
    $("picker").hidden = false;
    addEventListener("hashchange", show);
    show();
  };

  // ---------------------------------------------------------------------------------------------------- table
  const table = () => {
    const form = $("filters");
    const rows = [...document.querySelectorAll("table.versions tbody tr")];
    const apply = () => {
      const wanted = Object.fromEntries(new FormData(form));
      const text = wanted.text.trim().toLowerCase();
      let count = 0;
      for (const row of rows) {
        const fits = (!text || row.textContent.toLowerCase().includes(text)) && (!wanted.stage || row.dataset.stage === wanted.stage) &&
          (!wanted.python || row.dataset.pythons.split(" ").includes(wanted.python)) && (!wanted.arch || row.dataset.arches.split(" ").includes(wanted.arch));
        row.hidden = !fits;
        count += fits;
      }
      if (text || wanted.stage) document.querySelector("details.ended").open = true;
      $("count").textContent = fill($("count").dataset.words, { count });
    };
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    apply();
  };

  // -------------------------------------------------------------------------------------------------- explain
  const BEFORE = 400, AFTER = 1200, MOST = 200;
  const LEVELS = ["cause", "guess", "wrapper", "notice"];
  const places = (needles, text) => {
    const found = new Set();
    for (const needle of needles) {
      let at = text.indexOf(needle);
      for (let n = 0; n < MOST && at >= 0; n++, at = text.indexOf(needle, at + 1)) found.add(at);
      at = text.lastIndexOf(needle);
      for (let n = 0; n < MOST && at >= 0; n++, at = at > 0 ? text.lastIndexOf(needle, at - 1) : -1) found.add(at);
    }
    return [...found].sort((one, other) => one - other);
  };
  const first = (failure, text) => {
    const pattern = new RegExp(failure.pattern);
    for (const at of places(failure.needles, text)) {
      const hit = pattern.exec(text.slice(Math.max(0, at - BEFORE), at + AFTER).replace(/(?:[\r\n][ \t|│]*)+/g, " "));
      if (!hit) continue;
      const values = Object.fromEntries(failure.values.map((name, n) => [name, hit[n + 1] || ""]));
      const before = text.slice(Math.max(0, at - 240), at), after = text.slice(at, at + 240);
      return { at, values, quote: (before.split(/[\r\n]/).pop() + after.split(/[\r\n]/)[0]).trim() };
    }
    return null;
  };
  const lastChain = (text) => {
    const mark = "Traceback (most recent call last)";
    let at = text.lastIndexOf(mark);
    while (at > 0) {
      const before = text.lastIndexOf(mark, at - 1);
      const between = text.slice(Math.max(before, at - 500), at);
      if (before < 0 || !(between.includes("The above exception was the direct cause") || between.includes("During handling of the above exception"))) break;
      at = before;
    }
    return Math.max(at, 0);
  };
  /** What a terminal would show, as the command has it. */
  const uncolored = (raw) => raw.replace(/\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)/g, "")
    .replace(/\x1b\[([0-9]{0,2})C/g, (_, count) => " ".repeat(Number(count || 1)))
    .replace(/\x1b\[[0-9;]*[BEFHdf]/g, "\r")
    .replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|[ -/]*[0-~])/g, "")
    .replace(/\r{1,8}\n/g, "\n");
  /** All known failures in a text, the innermost cause first; the same as wheelmill explain. */
  const explain = (raw, failures) => {
    const text = uncolored(raw);
    const chain = lastChain(text);
    const found = [];
    failures.forEach((failure, order) => {
      const hit = first(failure, text);
      if (hit) found.push({ failure, order, ...hit, line: text.slice(0, hit.at).split("\n").length });
    });
    const rank = (one) => [LEVELS.indexOf(one.failure.level), one.at < chain ? 1 : 0, one.at, one.order];
    found.sort((a, b) => rank(a).map((value, n) => value - rank(b)[n]).find((value) => value) || 0);
    const causes = found.filter((one) => one.failure.level === "cause");
    return found.filter((one) => !(causes.length && one.failure.level === "guess") &&
      !causes.some((other) => other.order < one.order && Math.abs(other.at - one.at) < 18));
  };
  /** Whether the last traceback comes after the cause, and has no error code. */
  const endsOtherwise = (raw, cause) => {
    const text = uncolored(raw);
    const chain = lastChain(text);
    return cause.at < chain && !/\b(?:ERR[0-9]{5}|E[A-Z0-9][0-9]{4})\b|error code is ([0-9]{5,6})/.test(text.slice(chain));
  };
  /** The qualified name of a mangled C++ symbol, without its arguments. */
  const qualified = (mangled) => {
    const prefix = /^_Z(?:T[VIS]|GV)?N?[rVK]*/.exec(mangled);
    let at = prefix ? prefix[0].length : mangled.length;
    const parts = [];
    for (let length; (length = /^[0-9]+/.exec(mangled.slice(at))); ) {
      const start = at + length[0].length;
      at = start + Number(length[0]);
      if (at > mangled.length) return mangled;
      parts.push(mangled.slice(start, at));
    }
    if (parts.length && ["C1", "C2"].includes(mangled.slice(at, at + 2))) parts.push(parts[parts.length - 1]);
    return parts.join("::") || mangled;
  };
  Object.assign(window.wheelmill, { explain, qualified });

  const explainer = () => {
    const data = json("data");
    const words = json("words");
    const part = (id, name) => { const element = $(id).querySelector('[data-part="' + name + '"]'); return element ? element.dataset.raw : ""; };
    const full = (one) => {
      const values = { ...data.defaults, ...one.values };
      const said = (name) => fill(part(one.failure.id, name), values);
      const quoted = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, word(value)]));
      const commands = fill(part(one.failure.id, "commands"), quoted);
      const symbol = one.values.symbol ? qualified(one.values.symbol) : "";
      return make("div", { class: "answer", "data-id": one.failure.id },
        make("h2", {}, ...spans(said("title"))),
        make("p", { class: "quote" }, fill(words.explain_line, { line: one.line }) + words.colon + one.quote),
        make("p", {}, make("b", {}, words.why), " ", ...spans(said("cause"))),
        symbol ? make("p", {}, make("b", {}, words.symbol), " ", make("code", {}, symbol)) : null,
        make("p", {}, make("b", {}, words.do), " ", ...spans(said("cure"))),
        commands ? make("pre", { class: "commands" }, make("code", {}, commands)) : null);
    };
    const show = () => {
      const text = $("text").value;
      if (!text.trim()) return $("found").replaceChildren();
      const found = explain(text, data.failures);
      const cause = found.length && found[0].failure.level !== "notice" ? found[0] : null;
      const rest = found.filter((one) => one !== cause);
      const list = rest.map((one) => make("li", { "data-id": one.failure.id }, fill(words.explain_line, { line: one.line }) + words.colon,
        make("a", { href: "#" + one.failure.id }, fill(part(one.failure.id, "title"), { ...data.defaults, ...one.values }))));
      const otherwise = cause && endsOtherwise(text, cause) ? make("p", { class: "note" }, words.explain_otherwise) : "";
      $("found").replaceChildren(otherwise,
        cause ? full(cause) : make("div", { class: "answer", "data-id": "" }, make("h2", {}, words.explain_none), make("p", {}, ...spans(words.explain_send))),
        list.length ? make("h3", {}, words.explain_also) : "", list.length ? make("ul", {}, ...list) : "");
    };
    $("explain").hidden = false;
    $("explain").addEventListener("submit", (event) => { event.preventDefault(); show(); });
    $("text").addEventListener("paste", () => setTimeout(show));
    const open = () => { const one = anchor() && $(anchor()); if (one && one.tagName === "DETAILS") one.open = true; };
    addEventListener("hashchange", open);
    open();
  };

  // --------------------------------------------------------------------------------------------------- verify
  const lookup = () => {
    const form = $("lookup");
    const rows = [...document.querySelectorAll("#sums tbody tr")];
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => {
      const text = form.elements.text.value.trim().toLowerCase();
      let count = 0;
      for (const row of rows) { row.hidden = Boolean(text) && !row.textContent.toLowerCase().includes(text); count += !row.hidden; }
      form.querySelector("output").textContent = count ? "" : form.querySelector("output").dataset.none;
    });
  };

  // ------------------------------------------------------------------------------------------------- timeline
  const line = document.querySelector("line.today");
  if (line) {
    const box = line.closest(".scroll");
    const svg = line.ownerSVGElement;
    const at = (Number(line.getAttribute("x1")) / svg.viewBox.baseVal.width) * svg.getBoundingClientRect().width;
    box.scrollLeft = at - box.clientWidth * 0.6;
  }

  if ($("picker")) picker();
  if ($("filters")) table();
  if ($("explain")) explainer();
  if ($("lookup")) lookup();
})();
