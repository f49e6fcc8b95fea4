import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { accessSubject } from './access.mjs';
import { filesSubject } from './files.mjs';
import { mapSubject } from './map.mjs';
import { regionsSubject } from './regions.mjs';
import { samplesSubject } from './samples.mjs';
import { FILE_URL, serveWeb, WEB } from './serve.mjs';
import { trySubject } from './try.mjs';
import { walksSubject } from './walks.mjs';

/** What is checked, by subject: `(given, checks)`, where `given` has the browser and the page's two addresses. */
const SUBJECTS = {
  samples: samplesSubject,
  walks: walksSubject,
  map: mapSubject,
  regions: regionsSubject,
  try: trySubject,
  files: filesSubject,
  access: accessSubject,
};

/** Checks the explorer: all subjects, or those named. */
export async function checkExplorer(browser, checks, names = []) {
  if (!existsSync(join(WEB, 'index.html'))) {
    await checks.check('dist/web/ is built', () => Promise.reject(new Error('run `npm run build` first')));
    return;
  }
  const server = await serveWeb();
  const given = { browser, fileUrl: FILE_URL, webUrl: `${server.origin}/explorer/` };
  try {
    for (const name of names.length > 0 ? names : Object.keys(SUBJECTS)) {
      const subject = SUBJECTS[name];
      if (subject === undefined)
        throw new Error(`no subject ${name}; expected one of ${Object.keys(SUBJECTS).join(', ')}`);
      await subject(given, prefixed(checks, `explorer, ${name}`));
    }
  } finally {
    server.close();
  }
}

/** The same checks, with names that say where they belong. */
function prefixed(checks, prefix) {
  return {
    check: (name, body) => checks.check(`${prefix}: ${name}`, body),
    skip: (name, reason) => checks.skip(`${prefix}: ${name}`, reason),
  };
}
