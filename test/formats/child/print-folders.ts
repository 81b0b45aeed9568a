/** A child process that prints the folders it would use, as JSON. */
import { dataFolder } from '../../../src/backend/install/folder.ts';
import { labelsFolder } from '../../../src/features/set-records.ts';
import { userFolder } from '../../../src/formats/user-folders.ts';
import { expandPath, readHubEnvironment } from '../../../src/hub/environment.ts';
import { userSettingsFile } from '../../../src/settings/files.ts';

const folders = {
  data: dataFolder(),
  settings: userSettingsFile(),
  tokenizers: userFolder('cache'),
  hub: readHubEnvironment().cacheDir,
  labels: labelsFolder(),
  tilde: expandPath('~/models'),
};
process.stdout.write(JSON.stringify(folders));
