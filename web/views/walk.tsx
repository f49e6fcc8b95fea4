import type { PanelProps } from './panel.ts';

export function WalkView(_props: PanelProps) {
  return <p>walk</p>;
}
