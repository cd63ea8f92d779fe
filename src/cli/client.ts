// Entry point of ./client. The program is client-program.ts.
import { Client, type ClientOptions } from "../client/client.ts";
import { runClient } from "./client-program.ts";

const program = { process, console, openClient: (options: ClientOptions) => Client.open(options) };
process.exitCode = await runClient(program, process.argv.slice(2));
