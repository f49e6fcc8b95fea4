import { ask, SAMPLES, same } from './command.mjs';
import { ExplorerPage } from './page.mjs';

/** What the page says of a walk, against what the command prints of the same address. */
export async function walksSubject({ browser, fileUrl }, checks) {
  for (const sample of SAMPLES) {
    await checks.check(`walks of ${sample.title} are those of the command`, async () => {
      const one = await ExplorerPage.open(browser, fileUrl);
      await one.sample(sample);
      for (const address of sample.addresses) await compareWalk(one, sample, address);
      await one.close();
      return `${sample.addresses.length} addresses`;
    });
  }

  await checks.check('what is no address is refused, and the walk before it stays', async () => {
    const one = await ExplorerPage.open(browser, fileUrl);
    await one.sample(SAMPLES[0]);
    await one.address('402000');
    await one
      .panel('Walk')
      .getByRole('heading', { name: /^0x0*402000 translates/ })
      .waitFor();
    const { alert, field } = { alert: one.page.getByRole('alert'), field: one.page.locator('#address') };
    const { y } = await one.map.boundingBox();
    for (const text of ['12x4', '0x', '1'.repeat(17), '-1', '<b>']) {
      await one.address(text);
      await alert.getByText('is no address; expected').getByText(text).waitFor();
    }
    if ((await one.map.boundingBox()).y !== y) throw new Error('the error moves the map');
    await one.address(' ');
    await alert.getByText(/^Type an address/).waitFor();
    await field.press('Escape');
    await alert.getByText('address').waitFor({ state: 'detached' });
    await one.page.keyboard.press('/');
    await one.page.keyboard.type('nonsense\n');
    await alert.getByText(/^'nonsense' is no address/).waitFor();
    await one.tab('Find');
    await alert.getByText('address').waitFor({ state: 'detached' });
    await one.until('the address that was', async () => /402000$/.test(await field.inputValue()));
    await one.tab('Walk');
    await one
      .panel('Walk')
      .getByRole('heading', { name: /^0x0*402000 translates/ })
      .waitFor();
    await one.address('ffffffff`b6000123');
    await one
      .panel('Walk')
      .getByRole('heading', { name: /^0xffffffffb6000123 translates/ })
      .waitFor();
    await one.close();
  });

  await checks.check(
    'a table opens from the walk: its entries are those that the command walks through',
    async () => {
      const [sample] = SAMPLES;
      const one = await ExplorerPage.open(browser, fileUrl);
      await one.sample(sample);
      await one.address('402000');
      const { levels } = JSON.parse(await ask(sample, 'explain', '402000', '--json'));
      for (const { entry, index, address, value, table, target } of levels) {
        await one.tab('Walk');
        const level = one.page.getByRole('region', { name: `${entry} ${index} at ${address}` });
        await level.getByRole('button', { name: new RegExp(`^Entries of the ${table}`) }).press('Enter');
        const panel = one.panel('Table');
        const card = panel.getByRole('region', { name: `Entry ${entry} ${index}` });
        await card.getByText(`= ${value}`, { exact: true }).waitFor();
        const row = panel.getByRole('row', { name: new RegExp(`^${index} .*${value}`) });
        await row.getByText(target).waitFor();
      }
      await one.close();
      return `${levels.length} tables`;
    },
  );
}

/** One address: text, levels, fields, accesses. */
async function compareWalk(one, sample, address) {
  const what = `${sample.title} ${address}`;
  const json = JSON.parse(await ask(sample, 'explain', address, '--json'));
  const lines = (await ask(sample, 'explain', address)).trimEnd().split('\n');
  await one.address(address);
  const panel = one.panel('Walk');
  await panel.getByRole('heading', { name: lines[0], exact: true }).waitFor();

  const summary = panel.getByText('As the command explain prints it');
  await summary.click();
  const printed = (await panel.locator('pre').innerText()).split('\n');
  await summary.click();
  same(printed, lines, `${what}: lines of explain`);

  // Blocks of the text: the outcome, one for each level, the rows at the end.
  const blocks = lines.join('\n').split('\n\n');
  for (const [i, level] of json.levels.entries()) {
    const [head, does, ...fields] = blocks[i + 1].split('\n').map((line) => line.trim());
    const name = `${level.entry} ${level.index} at ${level.address}`;
    const shown = await panel.getByRole('region', { name, exact: true }).evaluate(readLevel);
    same([shown.head], [head], `${what}: level ${i}`);
    same([shown.does], [does], `${what}: what level ${i} does`);
    same([BigInt(shown.bits)], [BigInt(level.value)], `${what}: bits of level ${i}`);
    const said = shown.fields.filter((text) => text.includes(' = '));
    same(said.sort(), fieldsOf(fields.join(' '), level.fields).sort(), `${what}: fields of level ${i}`);
    same([shown.source], [level.source], `${what}: source of level ${i}`);
  }

  const rows = blocks[blocks.length - 1].split('\n').map((line) => /^(\S.*?) {2,}(.*)$/.exec(line)?.slice(1));
  const shown = await panel.evaluate(readSummary);
  const accesses = new Map(shown.accesses);
  if (accesses.size !== json.accesses.length)
    throw new Error(`${what}: ${accesses.size} accesses, expected ${json.accesses.length}`);
  const refused = rows.filter(([label]) => accesses.has(label));
  for (const [label, text] of refused) same([accesses.get(label)], [text], `${what}: ${label}`);
  const allowed = [...accesses.values()].filter((text) => text === 'allowed').length;
  same([allowed], [json.accesses.filter(({ result }) => result === 'allowed').length], `${what}: allowed`);
  same([refused.length + allowed], [json.accesses.length], `${what}: accesses`);
  const facts = rows.filter(([label]) => !accesses.has(label));
  same(
    shown.facts.map((fact) => fact.join(': ')),
    facts.map((fact) => fact.join(': ')),
    `${what}: what it comes to`,
  );
}

/** In the page: what a level's part says. */
function readLevel(region) {
  const text = (element) => (element?.textContent ?? '').replace(/\s+/g, ' ').trim();
  const bits = [...region.querySelectorAll('[role=toolbar] button')]
    .map((button) => button.dataset.value)
    .join('');
  const [does, takes] = ['.does > strong', '.takes'].map((one) => text(region.querySelector(one)));
  return {
    head: [...region.querySelectorAll('header > *')].map(text).join(' '),
    does: takes === '' ? does : `${does}; ${takes}`,
    bits: `0b${bits}`,
    fields: [...region.querySelectorAll('.field-list > li')].map(text),
    source: text(region.querySelector(':scope > p:last-of-type')),
  };
}

/** In the page: accesses, and the facts above the levels. */
function readSummary(panel) {
  const texts = (elements) =>
    [...elements].map(({ textContent }) => textContent.replace(/^[✓✗] /, '').trim());
  const facts = [...panel.querySelectorAll('.outcome .fact')].map((fact) => {
    const [label, value] = fact.children;
    const hidden = texts(value.querySelectorAll('.hidden'));
    return [label.textContent.trim(), hidden.length > 0 ? hidden.join(', ') : value.textContent.trim()];
  });
  const table = panel.querySelector('table');
  return {
    facts,
    accesses: [...(table?.querySelectorAll('tbody tr') ?? [])].map((row) => texts(row.children)),
  };
}

/** The list of fields as the page has it, from the command's: `R/W=1 writable` → `bit 1 R/W = 1 writable`. */
function fieldsOf(text, fields) {
  const items = text.replace(/,$/, '').split(/, (?=[^ ,]+(?: \d+(?::\d+)?)?=|all other bits 0|the )/);
  return items.flatMap((item) => {
    const [, name, held, rest] = /^([^=]+)=(\S+)(.*)$/.exec(item) ?? [];
    // That all other bits are 0.
    if (name === undefined) return [];
    const known = fields.find((one) => one.name === name || placeOf(one) === name);
    if (known === undefined) throw new Error(`no field ${name} in --json`);
    const meaning = rest.replace(/ \(bits? [\d:]+\)/, '');
    // What is ignored or reserved and has no name of its own is told by its place alone.
    const isNamed = known.name !== known.role || !['ignored', 'reserved'].includes(known.role);
    const label = isNamed ? ` ${known.name}` : '';
    return `${placeOf(known)}${label} = ${held}${meaning}`;
  });
}

function placeOf({ high, low }) {
  return high === low ? `bit ${low}` : `bits ${high}:${low}`;
}
