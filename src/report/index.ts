export { accessName, accessText } from './accesses.ts';
export { clusterCells, clusterHeader, clusterJson } from './clusters.ts';
export { dumpLines } from './dump.ts';
export {
  explanationLines,
  explanationRows,
  leadsText,
  missingText,
} from './explanation.ts';
export { explanationJson } from './explanation-json.ts';
export { type FieldWords, fieldTexts, fieldWords } from './fields.ts';
export { filterRows, parsePages, parseRange, type RowFilter } from './filters.ts';
export {
  type CountedSpace,
  type InfoRow,
  infoJson,
  machineRows,
  tableRows,
} from './info.ts';
export { type Json, sessionJson } from './json.ts';
export { regionJson } from './region-json.ts';
export {
  regionCells,
  regionHeader,
  repeatText,
  ruleText,
  writableAndExecutable,
} from './regions.ts';
export { listRows, type RegionRow, type RowList, type RowOptions } from './rows.ts';
export { countText, layOut, pageSizeText, pagesText, plural, rangeText, sizeText, wrap } from './text.ts';
export { type Translation, translationCells, translationJson } from './translation.ts';
