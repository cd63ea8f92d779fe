// Entry point of ./minitorrent. The program is minitorrent-program.ts.
import { runMinitorrent } from "./minitorrent-program.ts";
import { openWithDesktop } from "./web-command.ts";

const self = [process.execPath, ...process.execArgv, import.meta.filename] as const;
const program = {
  ...{ process, console, self, openFile: openWithDesktop },
  daemon: () => import("./daemon-program.ts"),
};
process.exitCode = await runMinitorrent(program, process.argv.slice(2));
