import { useRef, useState } from 'preact/hooks';
import { addressOf, hex64 } from 'tablewalk/bits';
import { missingText } from 'tablewalk/report';
import { AddressBits } from '../parts/address-bits.tsx';
import { ErrorText } from '../parts/error-text.tsx';
import { useOutcomeFocus } from '../parts/focus-outcome.ts';
import { PlaceLink } from '../parts/place-link.tsx';
import { RightsChips } from '../parts/rights-chips.tsx';
import { useAnswer } from '../parts/use-answer.ts';
import type { Walk } from '../protocol.ts';
import { save } from '../save-file.ts';
import type { PanelProps } from './panel.ts';
import { suggestPages } from './suggestions.ts';
import { WalkLevel } from './walk-level.tsx';

/** Every step of one translation: what `explain` says, bit by bit. */
export function WalkView(props: PanelProps) {
  const { client, tables, version, place } = props;
  const { address } = place;
  const { value, error, waits } = useAnswer(
    address === undefined ? undefined : (signal) => client.callUntil(signal, 'explain', address),
    `${version} ${address}`,
  );
  const heading = useRef<HTMLHeadingElement>(null);
  useOutcomeFocus(heading, value);
  if (address === undefined) return <NoAddress {...props} />;
  if (error !== undefined) return <ErrorText error={error} />;
  const space = value === undefined ? undefined : tables.spaces[value.space];
  if (value === undefined || space === undefined) return <p role="status">Following {hex64(address)} …</p>;
  const { explanation } = value;
  const missing = missingText(explanation);
  const isMapped = explanation.end === 'mapped';
  return (
    <div class="walk" aria-busy={waits}>
      <section class={`outcome ${isMapped ? 'mapped' : 'ends'}`} aria-labelledby="outcome">
        <h2 id="outcome" ref={heading} tabIndex={-1}>
          {value.outcome}
        </h2>
        <AddressBits space={space} explanation={explanation} />
        <div class="sides">
          <Facts walk={value} privileges={space.privileges} />
          <Accesses walk={value} />
        </div>
      </section>
      {explanation.levels.map((level, i) => (
        <WalkLevel key={level.depth} {...props} walk={value} space={space} step={i} />
      ))}
      {missing !== undefined && <p class="card ends">{missing}</p>}
      <Lines walk={value} address={explanation.address} />
    </div>
  );
}

function NoAddress({ tables, place, go }: PanelProps) {
  const suggested = suggestPages(tables.atlases);
  return (
    <div>
      <p>
        No address is chosen. Type one above (press <kbd>/</kbd>), or click a page on the map; its walk
        through the tables is shown here.
      </p>
      {suggested.length > 0 && (
        <ul class="suggested">
          {suggested.map(({ text, page }) => (
            <li key={text}>
              <PlaceLink place={place} go={go} to={{ address: addressOf(page) }} class="mono">
                {hex64(addressOf(page))}
              </PlaceLink>{' '}
              {text}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** What the walk comes to, but for the accesses. */
function Facts({
  walk: { explanation, rows, accesses },
  privileges,
}: {
  readonly walk: Walk;
  readonly privileges: readonly [string, string];
}) {
  const { physical, rights } = explanation;
  const names = accesses.map(({ name }) => name);
  return (
    <div>
      {physical !== undefined && <p class="mono big">{hex64(physical)}</p>}
      <dl class="facts">
        {rows
          .filter(([name]) => !names.includes(name))
          .map(([name, text]) => (
            <div key={name} class="fact">
              <dt>{name}</dt>
              <dd>
                {name === 'rights' && rights !== undefined ? (
                  <RightsChips rights={rights} privileges={privileges} />
                ) : (
                  text
                )}
              </dd>
            </div>
          ))}
      </dl>
    </div>
  );
}

/** Seen before the text of what an access gets. */
const SIGNS = { allowed: '✓', fault: '✗', unknown: '?' } as const;

/** What each of the six accesses gets. */
function Accesses({ walk }: { readonly walk: Walk }) {
  return (
    <table class="accesses">
      <caption class="hidden">What each access gets</caption>
      <thead class="hidden">
        <tr>
          <th scope="col">Access</th>
          <th scope="col">Result</th>
        </tr>
      </thead>
      <tbody>
        {walk.accesses.map(({ name, text }, i) => {
          const { kind } = walk.explanation.accesses[i].result;
          return (
            <tr key={name} class={kind}>
              <th scope="row">{name}</th>
              <td>
                <span aria-hidden="true">{SIGNS[kind]} </span>
                {text}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** What the command prints, to take along. */
function Lines({ walk, address }: { readonly walk: Walk; readonly address: bigint }) {
  const [told, setTold] = useState('');
  const copy = () => {
    navigator.clipboard.writeText(`${walk.lines.join('\n')}\n`).then(
      () => setTold('copied'),
      () => setTold('the browser does not allow it: select the lines instead'),
    );
  };
  const name = `walk-${address.toString(16)}.json`;
  return (
    <details class="lines">
      <summary>As the command explain prints it</summary>
      <p>
        <button type="button" onClick={copy}>
          Copy
        </button>{' '}
        <button type="button" onClick={() => save(walk.json, name, 'application/json')}>
          Save JSON
        </button>{' '}
        <span role="status">{told}</span>
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by the keyboard */}
      <pre tabIndex={0}>{walk.lines.join('\n')}</pre>
    </details>
  );
}
