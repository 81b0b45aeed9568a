/** A WebGPU device for machines without a graphics card: SwiftShader, a Vulkan driver in software that comes with Chromium. */
import { existsSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { findChromium } from './chromium.mjs';

const [DRIVER, LOADER] = ['vk_swiftshader_icd.json', 'libvulkan.so.1'];
/** Beside the program, or where Debian's starts it from. */
const DEBIAN_FOLDER = '/usr/lib/chromium';

/**
 * Variables with which a Node program finds SwiftShader. They have to be set when it starts: the system's loader looks at them
 * only then. Empty where a driver is named already or SwiftShader is not there. @returns {Record<string, string>}
 */
export function swiftshaderEnvironment() {
  const chromium = findChromium();
  if (process.env['VK_DRIVER_FILES'] !== undefined || chromium === undefined) return {};
  const folder = [dirname(realpathSync(chromium)), DEBIAN_FOLDER].find((each) =>
    existsSync(join(each, DRIVER)),
  );
  if (folder === undefined) return {};
  const before = process.env['LD_LIBRARY_PATH'];
  return {
    VK_DRIVER_FILES: join(folder, DRIVER),
    ...(existsSync(join(folder, LOADER)) && {
      LD_LIBRARY_PATH: before ? `${before}${delimiter}${folder}` : folder,
    }),
  };
}
