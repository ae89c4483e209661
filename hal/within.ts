import * as ds from "@devicescript/core"

/**
 * Runs `work` in a fiber of its own and waits until it calls `done`, at most `timeoutMs` (then `undefined`); other
 * fibers run meanwhile. The library's requests over Jacdac wait for ever when nobody answers, so each is made in
 * here. The fiber that came too late is left to wait: the library would trip over one that is gone.
 */
export function within<T>(timeoutMs: number, work: (done: (value: T) => void) => ds.AsyncVoid): T | undefined {
    let over = false
    let result: T
    const waiting = ds.Fiber.self()
    work.start((value: T) => {
        if (over) return
        over = true
        result = value
        waiting.resume(true)
    })
    // `suspend` is async only in its type: a call without `await` is the same wait in synchronous code.
    const suspend: any = ds.suspend
    suspend(timeoutMs)
    over = true
    return result
}
