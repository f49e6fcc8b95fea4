import type { PanelProps } from './panel.ts';

export function TableView(_props: PanelProps) {
  return <p>table</p>;
}
