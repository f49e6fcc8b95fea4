import { useState } from 'preact/hooks';
import { ErrorText } from '../parts/error-text.tsx';
import { save } from '../save-file.ts';
import type { PanelProps } from './panel.ts';
import { RegionFilterForm } from './region-filter.tsx';
import { useRegionList } from './region-list.ts';
import { RegionTable } from './region-table.tsx';

/** What is mapped where: the rows of `maps`. */
export function RegionsView(props: PanelProps) {
  const { client, image, version, place } = props;
  const { list, error, isBusy } = useRegionList(client, place.filter, version);
  const [failed, setFailed] = useState<unknown>();
  const exportJson = () => {
    client.call('exportRegions').then(
      (blob) => {
        setFailed(undefined);
        save(blob, `${image.name}-regions.json`, 'application/json');
      },
      (thrown: unknown) => setFailed(thrown),
    );
  };
  return (
    <div class="regions">
      <RegionFilterForm {...props} />
      <ErrorText error={error ?? failed} />
      <div class="about">
        <p role="status">
          {list === undefined ? (isBusy ? 'Listing regions …' : '') : list.note}
          {list !== undefined &&
            error !== undefined &&
            ' This is the list before the last change of the filter.'}
        </p>
        {list !== undefined && (
          <button type="button" onClick={exportJson} title="These rows as maps --json prints them">
            Export JSON
          </button>
        )}
      </div>
      {list !== undefined && list.count > 0 && <RegionTable key={list.id} list={list} {...props} />}
    </div>
  );
}
