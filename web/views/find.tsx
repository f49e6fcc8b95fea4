import type { PanelProps } from './panel.ts';

export function FindView(_props: PanelProps) {
  return <p>find</p>;
}
