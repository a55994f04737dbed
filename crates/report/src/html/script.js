'use strict';
// What the page shows is in the document; nothing is fetched.
const data = JSON.parse(document.getElementById('data').textContent);
const byId = (id) => document.getElementById(id);
const packages = data.packages;
const changes = new Map(data.diff ? data.diff.marks : []);
let chosen = null;

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function bytes(count) {
  const sign = count < 0 ? '-' : '';
  let size = Math.abs(count);
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (size < 1024 || unit === 'GiB') {
      return sign + (unit === 'B' ? size : size.toFixed(2)) + ' ' + unit;
    }
    size /= 1024;
  }
}

// Who mentions a package.
for (const one of packages) one.users = [];
packages.forEach((one, number) => one.references.forEach((other) => packages[other].users.push(number)));

// Rectangles of areas as the weights are, as square as they come (Bruls, Huizing, van Wijk).
function squarified(items, weight, x, y, width, height) {
  const placed = [];
  let rest = items.filter((item) => weight(item) > 0).sort((a, b) => weight(b) - weight(a));
  let left = rest.reduce((sum, item) => sum + weight(item), 0);
  while (rest.length > 0 && width > 0.5 && height > 0.5) {
    const short = Math.min(width, height);
    const scale = (width * height) / left;
    let row = [];
    let area = 0;
    let worst = Infinity;
    for (const item of rest) {
      const own = weight(item) * scale;
      const all = area + own;
      const most = weight(row[0] === undefined ? item : row[0]) * scale;
      const next = Math.max((short * short * most) / (all * all), (all * all) / (short * short * own));
      if (next > worst) break;
      row.push(item);
      area = all;
      worst = next;
    }
    const thick = area / short;
    let along = 0;
    for (const item of row) {
      const long = (weight(item) * scale) / thick;
      placed.push(width >= height
        ? { item, x, y: y + along, width: thick, height: long }
        : { item, x: x + along, y, width: long, height: thick });
      along += long;
    }
    if (width >= height) { x += thick; width -= thick; } else { y += thick; height -= thick; }
    left -= area / scale;
    rest = rest.slice(row.length);
  }
  return placed;
}

const HEAD = 16;
let cells = new Map();

function hue(number) { return Math.round((number * 137.5 + 205) % 360); }

function colour(number) {
  const how = byId('colour').value;
  if (how === 'change') return `var(--${changes.get(number) || 'same'})`;
  const one = packages[number];
  if (how === 'size') {
    const largest = Math.max(1, ...packages.map((it) => it.exclusive));
    const part = Math.sqrt(one.exclusive / largest);
    return `hsl(${Math.round(210 - 190 * part)} 55% var(--cell-light))`;
  }
  return `hsl(${hue(one.layers[0])} 48% var(--cell-light))`;
}

function drawMap() {
  const map = byId('map');
  map.textContent = '';
  cells = new Map();
  const measure = byId('measure').value;
  const weight = (number) => Math.max(packages[number][measure], 1);
  const layers = data.layers.map((layer, number) => ({
    number, layer,
    weight: layer.packages.length > 0
      ? layer.packages.reduce((sum, it) => sum + weight(it), 0)
      : layer.size,
  }));
  const outer = squarified(layers, (it) => it.weight, 0, 0, map.clientWidth - 2, map.clientHeight - 2);
  for (const { item, x, y, width, height } of outer) {
    const box = element('div', undefined, 'layer');
    Object.assign(box.style, { left: x + 'px', top: y + 'px', width: width + 'px', height: height + 'px' });
    const label = `layer ${item.number + 1}${item.layer.base ? ', base image' : ''}  ${bytes(item.layer.size)}`;
    box.title = label + (item.layer.reason ? ': ' + item.layer.reason : '');
    const head = height > 2 * HEAD && width > 40 ? HEAD : 0;
    if (head) box.append(element('span', label));
    map.append(box);
    for (const cell of squarified(item.layer.packages, weight, 0, head, width - 2, height - 2 - head)) {
      if (cell.width < 1.5 || cell.height < 1.5) continue;
      const one = packages[cell.item];
      const button = element('button', cell.width > 26 && cell.height > 13 ? one.name : '', 'cell');
      button.title = `${one.name}\n${bytes(one.size)}, ${bytes(one.exclusive)} would go with it`;
      button.setAttribute('aria-label', `${one.name}, ${bytes(one.size)}`);
      Object.assign(button.style, {
        left: cell.x + 'px', top: cell.y + 'px', width: cell.width + 'px', height: cell.height + 'px',
        background: colour(cell.item),
      });
      button.addEventListener('click', () => choose(cell.item, false));
      box.append(button);
      if (!cells.has(cell.item)) cells.set(cell.item, []);
      cells.get(cell.item).push(button);
    }
  }
  mark();
  const legend = byId('legend');
  legend.textContent = '';
  if (byId('colour').value === 'change') {
    for (const [kind, text] of [['added', 'added'], ['updated', 'updated'], ['rebuilt', 'rebuilt'], ['same', 'the same']]) {
      const spot = element('span', undefined, 'mark');
      spot.style.background = `var(--${kind})`;
      legend.append(spot, text);
    }
  }
}

function fits(one, wanted) { return one.path.toLowerCase().includes(wanted); }

// Fades what is not searched for, and outlines what is chosen.
function mark() {
  const wanted = byId('search').value.trim().toLowerCase();
  for (const [number, buttons] of cells) {
    for (const button of buttons) {
      button.classList.toggle('faded', wanted !== '' && !fits(packages[number], wanted));
      button.classList.toggle('chosen', number === chosen);
    }
  }
}

function choose(number, scroll) {
  chosen = number;
  mark();
  const one = packages[number];
  byId('name').textContent = one.name;
  byId('hint').hidden = true;
  const about = byId('about');
  about.textContent = '';
  const say = (name, text) => about.append(element('dt', name), element('dd', text));
  say('store path', one.path);
  say('size', `${bytes(one.size)}; with all that it needs ${bytes(one.closure)}; ${bytes(one.exclusive)} would go with it`);
  for (const layer of one.layers) {
    const reason = data.layers[layer].reason;
    say(`layer ${layer + 1}`, reason || data.layers[layer].createdBy || '');
  }
  if (one.arguments.length > 0) say('named by', one.arguments.join(', '));
  drawGraph(number);
  list('users', 'Mentioned by', one.users);
  list('needs', 'Mentions', one.references);
  if (scroll) byId('chosen').scrollIntoView({ behavior: 'smooth', block: 'start' });
}

function list(id, title, numbers) {
  const place = byId(id);
  place.textContent = '';
  place.append(element('h3', `${title}: ${numbers.length}`));
  const rows = element('ul');
  for (const number of [...numbers].sort((a, b) => packages[b].exclusive - packages[a].exclusive)) {
    const row = element('li');
    row.append(link(number), ` ${bytes(packages[number].size)}`);
    rows.append(row);
  }
  place.append(rows);
}

function link(number) {
  const made = element('button', packages[number].name, 'link');
  made.addEventListener('click', () => choose(number, true));
  return made;
}

const MOST = 60;

// The ways from what the arguments name to a package, from left to right.
function drawGraph(target) {
  const steps = new Map([[target, 0]]);
  const todo = [target];
  for (let at = 0; at < todo.length; at++) {
    for (const user of packages[todo[at]].users) {
      if (!steps.has(user)) { steps.set(user, steps.get(todo[at]) + 1); todo.push(user); }
    }
  }
  const roots = todo.filter((it) => packages[it].root);
  const descend = (from) => {
    const way = [from];
    while (steps.get(way[way.length - 1]) > 0) {
      const last = way[way.length - 1];
      way.push(packages[last].references.find((it) => steps.get(it) === steps.get(last) - 1));
    }
    return way;
  };
  const nearest = roots.reduce((a, b) => (steps.get(b) < steps.get(a) ? b : a), roots[0]);
  const way = nearest === undefined ? [target] : descend(nearest);
  // All that leads there, if that is not too much to look at; else the shortest way from each root.
  let shown = new Set(todo);
  if (shown.size > MOST) {
    shown = new Set(way);
    for (const root of roots.sort((a, b) => steps.get(a) - steps.get(b))) {
      const more = descend(root);
      if (shown.size + more.length <= MOST) more.forEach((it) => shown.add(it));
    }
  }
  const isWay = new Set(way);
  const deepest = Math.max(...[...shown].map((it) => steps.get(it)));
  const columns = Array.from({ length: deepest + 1 }, () => []);
  for (const number of shown) columns[deepest - steps.get(number)].push(number);
  for (const column of columns) {
    column.sort((a, b) => isWay.has(b) - isWay.has(a) || packages[b].exclusive - packages[a].exclusive);
  }
  const [wide, high, gapX, gapY] = [170, 24, 60, 8];
  const places = new Map();
  columns.forEach((column, x) => column.forEach((number, y) => {
    places.set(number, { x: (x + 1) * (wide + gapX), y: 4 + y * (high + gapY) });
  }));
  const tallest = Math.max(...columns.map((column) => column.length));
  const svgName = 'http://www.w3.org/2000/svg';
  const make = (name, attributes) => {
    const made = document.createElementNS(svgName, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const svg = make('svg', {
    width: (columns.length + 1) * (wide + gapX), height: tallest * (high + gapY) + 8, role: 'img',
  });
  svg.append(make('title', {}));
  svg.firstChild.textContent = `The ways to ${packages[target].name}`;
  const edge = (from, to, isMain) => {
    const [x1, y1, x2, y2] = [from.x + wide, from.y + high / 2, to.x, to.y + high / 2];
    const bend = Math.max(20, (x2 - x1) / 2);
    svg.append(make('path', { d: `M${x1},${y1} C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`, class: isMain ? 'way' : '' }));
  };
  const box = (place, text, title, className, number) => {
    const group = make('g', { class: className, transform: `translate(${place.x},${place.y})` });
    group.append(make('rect', { width: wide, height: high, rx: 4, class: 'box' }));
    const label = make('text', { x: 7, y: 16 });
    label.textContent = text.length > 24 ? text.slice(0, 23) + '…' : text;
    const full = make('title', {});
    full.textContent = title;
    group.append(label, full);
    if (number !== undefined) {
      group.dataset.package = number;
      group.addEventListener('click', () => choose(number, false));
    }
    svg.append(group);
  };
  const follows = (a, b) => { const at = way.indexOf(a); return at >= 0 && way[at + 1] === b; };
  for (const number of shown) {
    for (const other of packages[number].references) {
      if (places.has(other)) edge(places.get(number), places.get(other), follows(number, other));
    }
  }
  for (const number of shown) {
    const one = packages[number];
    if (one.root) {
      const place = { x: places.get(number).x - wide - gapX, y: places.get(number).y };
      const text = one.arguments.join(', ') || 'the arguments';
      const isFree = ![...places.values()].some((it) => it.x === place.x && it.y === place.y);
      if (isFree) {
        edge(place, places.get(number), isWay.has(number) && way[0] === number);
        box(place, text, text, 'argument');
      }
    }
    box(places.get(number), one.name, `${one.path}\n${bytes(one.size)}${one.arguments.length ? '\n' + one.arguments.join(', ') : ''}`, isWay.has(number) ? 'way' : '', number);
  }
  byId('graph').replaceChildren(svg);
}

function table(id, columns, rows, select) {
  const made = byId(id);
  made.textContent = '';
  const head = element('tr');
  for (const [title, , isNumber, sort] of columns) {
    const cell = element('th', title, isNumber ? 'number' : '');
    if (sort) { cell.dataset.key = title; cell.addEventListener('click', sort); }
    head.append(cell);
  }
  const body = document.createDocumentFragment();
  body.append(head);
  for (const row of rows) {
    const line = element('tr', undefined, select ? 'row' : '');
    for (const [, show, isNumber] of columns) line.append(element('td', show(row), isNumber ? 'number' : ''));
    if (select) line.addEventListener('click', () => select(row));
    body.append(line);
  }
  made.append(body);
}

const orders = {
  exclusive: (a, b) => packages[b].exclusive - packages[a].exclusive,
  size: (a, b) => packages[b].size - packages[a].size,
  closure: (a, b) => packages[b].closure - packages[a].closure,
  name: (a, b) => packages[a].name.localeCompare(packages[b].name),
  layer: (a, b) => packages[a].layers[0] - packages[b].layers[0],
};
let order = 'exclusive';
const MOST_ROWS = 400;

function drawPackages() {
  const wanted = byId('search').value.trim().toLowerCase();
  const rows = packages.map((_, number) => number).filter((it) => wanted === '' || fits(packages[it], wanted));
  rows.sort(orders[order]);
  const by = (name) => () => { order = name; drawPackages(); };
  table('packages', [
    ['own', (it) => bytes(packages[it].size), true, by('size')],
    ['goes with it', (it) => bytes(packages[it].exclusive), true, by('exclusive')],
    ['with all it needs', (it) => bytes(packages[it].closure), true, by('closure')],
    ['layer', (it) => packages[it].layers.map((layer) => layer + 1).join(', '), true, by('layer')],
    ['package', (it) => packages[it].name, false, by('name')],
    ['named by', (it) => packages[it].arguments.join(', ')],
  ], rows.slice(0, MOST_ROWS), (it) => choose(it, true));
}

function drawLayers() {
  const whole = data.layers.reduce((sum, layer) => sum + layer.size, 0) || 1;
  const kept = new Set(data.diff ? data.diff.kept : []);
  const columns = [
    ['layer', (it) => String(it + 1), true],
    ['size', (it) => bytes(data.layers[it].size), true],
    ['share', (it) => (100 * data.layers[it].size / whole).toFixed(1) + ' %', true],
    ['what', (it) => (data.layers[it].base ? 'base image: ' : '') + data.layers[it].what],
    ['why', (it) => data.layers[it].reason || ''],
  ];
  if (data.diff) columns.splice(3, 0, ['', (it) => (kept.has(it) ? 'stays' : 'is sent')]);
  table('layers', columns, data.layers.map((_, number) => number));
}

function drawChanges() {
  if (!data.diff) return;
  byId('change').hidden = false;
  byId('sending').textContent = data.diff.sending;
  const kept = new Set(data.diff.kept);
  const bar = byId('bar');
  bar.setAttribute('aria-label', `${kept.size} of ${data.layers.length} layers stay`);
  data.layers.forEach((layer, number) => {
    const part = element('div', String(number + 1));
    part.style.flexGrow = Math.max(layer.size, 1);
    part.style.background = kept.has(number) ? 'var(--same)' : 'var(--updated)';
    part.title = `layer ${number + 1}, ${bytes(layer.size)}: ${kept.has(number) ? 'stays' : 'is sent'}`;
    bar.append(part);
  });
  table('changes', [
    ['package', (it) => it.name],
    ['', (it) => it.change],
    ['before', (it) => it.oldVersions],
    ['after', (it) => it.newVersions],
    ['size', (it) => (it.growth > 0 ? '+' : '') + bytes(it.growth), true],
  ], data.diff.packages, (it) => { if (it.package !== null) choose(it.package, true); });
}

byId('title').textContent = data.title;
byId('facts').textContent = data.facts.join(' · ');
for (const [value, text] of [...(data.diff ? [['change', 'by what changed']] : []), ['layer', 'by layer'], ['size', 'by what would go']]) {
  const option = element('option', text);
  option.value = value;
  byId('colour').append(option);
}
byId('search').addEventListener('input', () => { mark(); drawPackages(); });
byId('measure').addEventListener('change', drawMap);
byId('colour').addEventListener('change', drawMap);
let waiting = 0;
window.addEventListener('resize', () => { clearTimeout(waiting); waiting = setTimeout(drawMap, 100); });
drawChanges();
drawMap();
drawPackages();
drawLayers();
if (data.target !== null) choose(data.target, false);
