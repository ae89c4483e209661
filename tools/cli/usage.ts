import { type ParseArgsConfig, parseArgs } from "node:util"

/** The words of a command line are wrong: one clear line, exit code 2. */
export class UsageError extends Error {}

/** `node:util` parseArgs whose complaints are usage errors. */
export function readArgs<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
    try {
        return parseArgs(config)
    } catch (error) {
        // Some of its messages go on with advice about quoting.
        throw new UsageError((error as Error).message.split("\n")[0])
    }
}
