import { CLASS_NAMES } from './atlas.ts';
import type { Look, Palette } from './painter.ts';

const LOOKS: readonly (Look | 'hatch')[] = [
  ...CLASS_NAMES,
  'table',
  'table-edge',
  'hole',
  'gap',
  'missing',
  'faulty',
  'ink',
  'faint',
  'paper',
  'mark',
  'on',
  'hatch',
];

/** The colours that the style sheet gives, by the names of looks: `--map-user-rw`. */
export function readPalette(element: Element): Palette {
  const style = getComputedStyle(element);
  const palette: Record<string, string> = {};
  for (const look of LOOKS) palette[look] = style.getPropertyValue(`--map-${look}`).trim();
  return palette as Palette;
}
