export { type CaptureOptions, capturePath, captureTables, type LinearBytes, readLinear } from './capture.ts';
