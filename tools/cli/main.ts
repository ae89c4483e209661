import { commands } from "./commands.ts"
import { UsageError } from "./usage.ts"

/** Runs one `plomb` command; the answer is the process's exit code: 0 done, 1 refused or failed, 2 wrong words. */
export async function main(args: string[]): Promise<number> {
    // "plomb help COMMAND" is what "plomb COMMAND --help" is.
    const [name, ...rest] = args[0] === "help" && args[1] ? [args[1], "--help"] : args
    if (!name || name === "help" || name === "--help" || name === "-h") {
        console.log("plomb: firmware and tools for meters that sign what they measure\n")
        for (const command of commands) console.log(`  plomb ${command.name.padEnd(12)} ${command.summary}`)
        console.log("\nplomb COMMAND --help says more of each.")
        return name ? 0 : 2
    }
    const command = commands.find(each => each.name === name)
    if (!command) {
        console.error(`plomb: there is no command "${name}"; plomb --help lists them`)
        return 2
    }
    // jacdac-ts tells its every step there.
    if (!process.env.PLOMB_DEBUG) console.debug = () => {}
    try {
        if (rest.includes("--help") || rest.includes("-h")) {
            console.log(await command.help())
            return 0
        }
        return await command.run(rest)
    } catch (error) {
        if (process.env.PLOMB_DEBUG) console.error(error)
        else console.error(`plomb ${name}: ${error instanceof Error ? error.message : error}`)
        return error instanceof UsageError ? 2 : 1
    }
}
