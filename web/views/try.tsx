import type { PanelProps } from './panel.ts';

export function TryView(_props: PanelProps) {
  return <p>try</p>;
}
