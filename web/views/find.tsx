import { hex64, pageOf } from 'tablewalk/bits';
import { countText, pageSizeText, plural } from 'tablewalk/report';
import { ErrorText } from '../parts/error-text.tsx';
import { HexForm } from '../parts/hex-form.tsx';
import { PlaceLink } from '../parts/place-link.tsx';
import { useAnswer } from '../parts/use-answer.ts';
import type { Found } from '../protocol.ts';
import type { PanelProps } from './panel.ts';

/** What leads to a physical address, and which tables lie there. */
export function FindView(props: PanelProps) {
  const { client, version, place, go } = props;
  const { physical } = place;
  const { value: found, error } = useAnswer(
    physical === undefined ? undefined : (signal) => client.callUntil(signal, 'find', physical),
    `${physical} ${version}`,
  );
  return (
    <div class="find">
      <HexForm
        id="physical"
        label="Physical address"
        action="Find"
        example="0x1000000"
        value={physical === undefined ? '' : hex64(physical)}
        submit={(value) => go({ physical: value })}
      />
      <ErrorText error={error} />
      {found === undefined
        ? error === undefined && (
            <p class="small">
              {physical === undefined
                ? 'Which linear addresses reach a physical address, with which rights, and which page tables lie there.'
                : 'Looking …'}
            </p>
          )
        : found.physical === physical && <FoundText found={found} {...props} />}
    </div>
  );
}

/** The answer, from the sentence to the lists. */
function FoundText({ found, ...props }: PanelProps & { readonly found: Found }) {
  const { pages, tables, missing } = found;
  const frame = hex64(found.physical - (found.physical % 4096n));
  return (
    <>
      <div role="status">
        <p class="answer">{answerText(found)}</p>
        <p>
          {found.inImage
            ? `The image holds the frame at ${frame}.`
            : `The image does not hold the frame at ${frame}: what stands there is not known.`}
          {missing > 0 &&
            ` Of ${plural(missing, 'table')} a part is not in the image: more may lead here than is known.`}
        </p>
      </div>
      {tables.length > 0 && (
        <>
          <h2>Tables in this frame</h2>
          <ul>
            {tables.map(({ at, name }) => (
              <li key={`${at.space} ${at.depth} ${at.frame}`}>
                <PlaceLink
                  place={props.place}
                  go={props.go}
                  to={{ panel: 'table', table: at, entry: undefined }}
                >
                  {name}
                </PlaceLink>
              </li>
            ))}
          </ul>
        </>
      )}
      {pages.length > 0 && <FoundPages found={found} {...props} />}
    </>
  );
}

/** Every linear address that is told of. */
function FoundPages({ found, tables, place, go }: PanelProps & { readonly found: Found }) {
  const [user, supervisor] = tables.spaces[0].privileges;
  return (
    <>
      <h2>Linear addresses</h2>
      {found.more && (
        <p>
          Only {countText(found.pages.length)} of {countText(found.count)} are listed.
        </p>
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keys */}
      <section class="scroller" tabIndex={0} aria-label="Linear addresses">
        <table class="found mono">
          <thead>
            <tr>
              <th scope="col">Linear</th>
              <th scope="col">{user}</th>
              <th scope="col">{supervisor}</th>
              <th scope="col">Page</th>
              <th scope="col">
                <span class="hidden">Map</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {found.pages.map(({ linear, rights, pageShift }) => {
              const pages = 2 ** (pageShift - 12);
              const first = Math.floor(pageOf(linear) / pages) * pages;
              return (
                <tr key={linear}>
                  <td>
                    <PlaceLink place={place} go={go} to={{ address: linear, panel: 'walk' }}>
                      {hex64(linear)}
                    </PlaceLink>
                  </td>
                  <td>{rights[0]}</td>
                  <td>{rights[1]}</td>
                  <td>{pageSizeText(pageShift)}</td>
                  <td>
                    <PlaceLink
                      place={place}
                      go={go}
                      to={{ zoom: { first, last: first + pages - 1 } }}
                      label={`Show ${hex64(linear)} on the map`}
                    >
                      map
                    </PlaceLink>
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </section>
    </>
  );
}

/** What leads to the address, in one sentence. */
function answerText({ physical, count, tables }: Found): string {
  const where = hex64(physical);
  if (count === 0 && tables.length === 0)
    return `Nothing leads to ${where}: no linear address is mapped to it, and no page table lies there.`;
  const lies =
    tables.length === 0 ? '' : tables.length === 1 ? 'A page table lies there' : 'Page tables lie there';
  if (count === 0) return `${lies}; no linear address is mapped to ${where}.`;
  const reach = count === 1 ? 'One linear address reaches' : `${countText(count)} linear addresses reach`;
  return `${reach} ${where}.${lies === '' ? '' : ` ${lies}.`}`;
}
