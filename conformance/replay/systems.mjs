// Every system whose recorded files can be replayed, by the name in the files' headers.

import { aarch64Paging } from './aarch64-paging.mjs';
import { halMap } from './hal-map.mjs';
import { halPage } from './hal-page.mjs';
import { halPageCtrl } from './hal-page-ctrl.mjs';
import { hyperlightAarch64, hyperlightAmd64 } from './hyperlight.mjs';
import { mappedPageTable, offsetPageTable, recursivePageTable } from './x86-64-mappers.mjs';

/** @type {Readonly<Record<string, import('./sequence.mjs').System>>} */
export const SYSTEMS = {
  'x86_64/OffsetPageTable': offsetPageTable,
  'x86_64/MappedPageTable': mappedPageTable,
  'x86_64/RecursivePageTable': recursivePageTable,
  'aarch64-paging/RootTable': aarch64Paging,
  'aarch64-paging/Mapping': aarch64Paging,
  'aarch64-paging/IdMap': aarch64Paging,
  'aarch64-paging/LinearMap': aarch64Paging,
  'hal_core/page': halPage,
  'hal_core/Map': halMap,
  'hal_x86_64/PageCtrl': halPageCtrl,
  'hyperlight_common/vmem/amd64': hyperlightAmd64,
  'hyperlight_common/vmem/aarch64': hyperlightAarch64,
};

/** Names of all deliberate differences that a replay may pass over. */
export const DELIBERATE = [...new Set(Object.values(SYSTEMS).flatMap((system) => system.deliberate))];
