import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { Client } from './client.ts';
import { MapView } from './map/map-view.tsx';
import { ErrorText } from './parts/error-text.tsx';
import { ProgressBar } from './parts/progress-bar.tsx';
import { Tabs } from './parts/tabs.tsx';
import { Toolbar } from './parts/toolbar.tsx';
import type { Progress } from './protocol.ts';
import { PANELS, type Panel, usePlace } from './state.ts';
import { useAttempt } from './use-attempt.ts';
import { useDrop } from './use-drop.ts';
import { useImage } from './use-image.ts';
import { FindView } from './views/find.tsx';
import { ImageView } from './views/image.tsx';
import { Opener } from './views/opener.tsx';
import type { PanelProps } from './views/panel.ts';
import { RegionsView } from './views/regions.tsx';
import { RegistersForm } from './views/registers-form.tsx';
import { TableView } from './views/table.tsx';
import { TryView } from './views/try.tsx';
import { TryBar } from './views/try-bar.tsx';
import { WalkView } from './views/walk.tsx';
import ExplorerWorker from './worker/main.ts?worker&inline';

const PANEL_NAMES: Readonly<Record<Panel, string>> = {
  walk: 'Walk',
  table: 'Table',
  regions: 'Regions',
  find: 'Find',
  try: 'Try it',
  image: 'Image',
};

/** The explorer. */
export function App() {
  const client = useMemo(() => new Client(() => new ExplorerWorker()), []);
  const [place, go] = usePlace();
  const [progress, setProgress] = useState<Progress | undefined>();
  client.onProgress = setProgress;
  const { stage, opening, told, ...image } = useImage(client, place, go);
  const opened = stage.kind === 'open' ? stage : undefined;
  const { attempt, ...tried } = useAttempt(client, opened?.version, place.changes);
  useDrop(image.take);
  // A reader may be far below, and would not see that there is something to read.
  const errors = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (told !== undefined || tried.error !== undefined) errors.current?.scrollIntoView({ block: 'nearest' });
  }, [told, tried.error]);
  const tables = opened === undefined ? undefined : (attempt?.tables ?? opened.tables);
  return (
    <>
      <Toolbar
        title={opened?.image.name}
        about={tables?.spaces.map(({ text }) => text) ?? []}
        place={place}
        go={go}
        close={stage.kind === 'start' && opening === undefined ? undefined : image.close}
      />
      <main>
        <div ref={errors}>
          {told !== undefined && (
            <ErrorText error={told.error} title={told.title}>
              <button type="button" onClick={image.dismiss}>
                Dismiss
              </button>
            </ErrorText>
          )}
          <ErrorText error={tried.error} title="The changes cannot be made.">
            <button type="button" onClick={() => go({ changes: [] })}>
              Discard these changes
            </button>
          </ErrorText>
        </div>
        {progress !== undefined && <ProgressBar progress={progress} stop={() => client.stop()} />}
        {opening !== undefined && progress === undefined && <p role="status">Opening {opening} …</p>}
        {stage.kind === 'start' && (
          <div hidden={opening !== undefined}>
            <Opener take={image.take} takeSample={image.takeSample} failed={told?.error} />
          </div>
        )}
        {stage.kind === 'asks' && (
          <RegistersForm
            image={stage.image}
            why={stage.why}
            options={place.options}
            submit={image.choose}
            submitRegisters={image.giveRegisters}
          />
        )}
        {opened !== undefined && tables !== undefined && (
          <>
            <MapView
              spaces={tables.spaces}
              atlases={tables.atlases}
              place={place}
              go={go}
              title={opened.image.name}
            />
            <TryBar attempt={attempt} failed={tried.error !== undefined} place={place} go={go} />
            <Tabs
              label="What is looked at"
              tabs={PANELS.map((panel) => ({ id: panel, name: PANEL_NAMES[panel] }))}
              chosen={place.panel}
              choose={(panel) => go({ panel })}
            >
              <PanelOf
                client={client}
                image={opened.image}
                tables={tables}
                version={opened.version + tried.version}
                attempt={attempt}
                place={place}
                go={go}
              />
            </Tabs>
          </>
        )}
      </main>
    </>
  );
}

function PanelOf(props: PanelProps) {
  switch (props.place.panel) {
    case 'walk':
      return <WalkView {...props} />;
    case 'table':
      return <TableView {...props} />;
    case 'regions':
      return <RegionsView {...props} />;
    case 'find':
      return <FindView {...props} />;
    case 'try':
      return <TryView {...props} />;
    case 'image':
      return <ImageView {...props} />;
  }
}
