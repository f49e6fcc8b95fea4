// Draws what bench/space-scale.mjs has measured, as SVG that can be read on light and on dark ground.

const PANEL = { width: 360, height: 270, left: 62, top: 40 };
const WIDTH = 2 * (PANEL.left + PANEL.width) + 30;
const HEIGHT = PANEL.top + PANEL.height + 88;

const STYLE = `
  svg { --ground: #ffffff; --ink: #1f2328; --faint: #d0d7de; --first: #0550ae; --second: #bc4c00; }
  @media (prefers-color-scheme: dark) {
    svg { --ground: #0d1117; --ink: #e6edf3; --faint: #30363d; --first: #79c0ff; --second: #ffa657; }
  }
  .ground { fill: var(--ground); }
  text { fill: var(--ink); font: 12px system-ui, sans-serif; }
  .title { font-weight: 600; font-size: 13px; }
  .grid { stroke: var(--faint); stroke-width: 1; }
  .line { fill: none; stroke-width: 2; }
  .s0 { stroke: var(--first); } .p0 { fill: var(--first); }
  .s1 { stroke: var(--second); stroke-dasharray: 6 4; } .p1 { fill: var(--second); }
`;

/** An axis of powers: where a value lies, and which values are written. */
function axis(from, to, base, length, label, every = 1) {
  const log = (value) => Math.log(value) / Math.log(base);
  const [low, high] = [Math.floor(log(from) + 1e-9), Math.ceil(log(to) - 1e-9)];
  const marks = [];
  for (let power = low; power <= high; power += every)
    marks.push({ value: base ** power, text: label(base ** power) });
  return { marks, at: (value) => ((log(value) - low) / (high - low)) * length };
}

function panel(left, title, xTitle, x, y, lines) {
  const { width, height, top } = PANEL;
  const bottom = top + height;
  const px = (value) => (left + x.at(value)).toFixed(1);
  const py = (value) => (bottom - y.at(value)).toFixed(1);
  const parts = [`<text class="title" x="${left}" y="${top - 14}">${title}</text>`];
  for (const { value, text } of x.marks) {
    parts.push(`<line class="grid" x1="${px(value)}" y1="${top}" x2="${px(value)}" y2="${bottom}"/>`);
    parts.push(`<text x="${px(value)}" y="${bottom + 16}" text-anchor="middle">${text}</text>`);
  }
  for (const { value, text } of y.marks) {
    parts.push(`<line class="grid" x1="${left}" y1="${py(value)}" x2="${left + width}" y2="${py(value)}"/>`);
    parts.push(`<text x="${left - 6}" y="${Number(py(value)) + 4}" text-anchor="end">${text}</text>`);
  }
  parts.push(`<text x="${left + width / 2}" y="${bottom + 36}" text-anchor="middle">${xTitle}</text>`);
  lines.forEach((points, i) => {
    const places = points.map(([a, b]) => `${px(a)},${py(b)}`);
    parts.push(`<polyline class="line s${i}" points="${places.join(' ')}"/>`);
    for (const place of places) {
      const [cx, cy] = place.split(',');
      parts.push(`<circle class="p${i}" cx="${cx}" cy="${cy}" r="3"/>`);
    }
  });
  return parts.join('\n');
}

function bytesText(bytes) {
  const unit = Math.floor(Math.log2(bytes) / 10);
  return `${bytes / 1024 ** unit} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}`;
}

function timeText(ns) {
  if (ns < 1e3) return `${ns} ns`;
  if (ns < 1e6) return `${ns / 1e3} µs`;
  return ns < 1e9 ? `${ns / 1e6} ms` : `${ns / 1e9} s`;
}

function countText(count) {
  return count < 1e3 ? `${count}` : count < 1e6 ? `${count / 1e3} k` : `${count / 1e6} M`;
}

/**
 * Two panels: the time of `map` by the bytes that it maps, and by the entries that it writes.
 *
 * @param {readonly { name: string, points: readonly { bytes: number, entries: number, ns: number }[] }[]} curves
 * @returns {string} SVG
 */
export function plot(curves) {
  const all = curves.flatMap(({ points }) => points);
  const least = (key) => Math.min(...all.map((point) => point[key]));
  const most = (key) => Math.max(...all.map((point) => point[key]));
  const { width, height, left } = PANEL;
  const time = axis(least('ns'), most('ns'), 10, height, timeText);
  const bytes = axis(least('bytes'), most('bytes'), 4, width, bytesText, 3);
  const entries = axis(least('entries'), most('entries'), 10, width, countText);
  const lines = (key) =>
    curves.map(({ points }) => points.map((point) => [point[key], point.ns]).sort(([a], [b]) => a - b));
  const legend = curves.map(({ name }, i) => {
    const x = left + i * 150;
    const y = HEIGHT - 16;
    return `<line class="line s${i}" x1="${x}" y1="${y - 4}" x2="${x + 28}" y2="${y - 4}"/><text x="${x + 36}" y="${y}">${name}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Time of AddressSpace.map by bytes mapped and by entries written">
<style>${STYLE}</style>
<rect class="ground" width="${WIDTH}" height="${HEIGHT}"/>
${panel(left, 'Time of map by bytes mapped', 'bytes mapped in one call', bytes, time, lines('bytes'))}
${panel(2 * left + width + 10, 'The same calls by entries written', 'entries written', entries, time, lines('entries'))}
${legend.join('\n')}
</svg>
`;
}
