import { vi } from "vitest"
import { main } from "../../tools/cli/main"

/** Exit code, standard output and standard error of one `plomb` command, its words parted by spaces. */
export async function heard(words: string): Promise<{ code: number; out: string; error: string }> {
    const out: string[] = []
    const error: string[] = []
    const spies = [
        vi.spyOn(console, "log").mockImplementation(text => void out.push(text)),
        vi.spyOn(console, "error").mockImplementation(text => void error.push(text)),
    ]
    try {
        return { code: await main(words.split(" ")), out: out.join("\n"), error: error.join("\n") }
    } finally {
        for (const spy of spies) spy.mockRestore()
    }
}
