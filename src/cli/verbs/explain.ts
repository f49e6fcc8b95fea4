import { pageOf } from '../../bits/index.ts';
import { capturePath } from '../../capture/index.ts';
import { explain as explainAddress } from '../../inspect/index.ts';
import { SparseMemory } from '../../memory/index.ts';
import { explanationJson, explanationLines } from '../../report/index.ts';
import { parseHex, type Session, spaceAt } from '../../session/index.ts';
import type { Output } from '../output.ts';

/** `explain`: every step of one translation. Exit 1 if the address does not translate. */
export async function explain(session: Session, addressText: string, output: Output): Promise<number> {
  const address = parseHex('address', addressText);
  const into = new SparseMemory();
  const space = spaceAt(session, address);
  await capturePath(session.machine, space.paging, pageOf(address), into);
  const explanation = explainAddress(into.memory, space.paging, address);
  if (output.mode !== 'text') output.line(JSON.stringify(explanationJson(session, explanation)));
  else for (const line of explanationLines(session, space, explanation)) output.line(line);
  return explanation.end === 'mapped' ? 0 : 1;
}
