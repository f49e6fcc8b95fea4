import { pageOf } from '../../bits/index.ts';
import { capturePath } from '../../capture/index.ts';
import { SparseMemory } from '../../memory/index.ts';
import { layOut, type Translation, translationCells, translationJson } from '../../report/index.ts';
import { parseHex, type Session, spaceAt } from '../../session/index.ts';
import { Walker } from '../../walk/index.ts';
import { type Output, writeRecords } from '../output.ts';
import { noteSession } from '../session.ts';

/** `translate`: physical addresses of linear ones. Exit 1 if one does not translate. */
export async function translate(
  session: Session,
  addresses: readonly string[],
  output: Output,
): Promise<number> {
  const into = new SparseMemory();
  const answers: Translation[] = [];
  for (const text of addresses) {
    const va = parseHex('address', text);
    const { paging } = spaceAt(session, va);
    await capturePath(session.machine, paging, pageOf(va), into);
    answers.push({ va, paging, path: new Walker(into.memory, paging).path(pageOf(va)) });
  }
  if (output.mode === 'text') for (const line of layOut(answers.map(translationCells))) output.line(line);
  else writeRecords(output, 'translations', answers.map(translationJson));
  noteSession(session, output);
  return answers.every(({ path }) => path.end === 'mapped') ? 0 : 1;
}
