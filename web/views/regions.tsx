import type { PanelProps } from './panel.ts';

export function RegionsView(_props: PanelProps) {
  return <p>regions</p>;
}
