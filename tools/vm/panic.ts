/** What the VM's panic codes mean; 60100 and above are faults of the image itself. */
const meanings: Record<number, string> = {
    60001: "InfiniteLoop: 131,072 bytecode steps without letting other fibers run",
    60002: "InternalError",
    60003: "RuntimeFailure",
    60004: "OutOfMemory: the 64 KB heap is full",
    60005: "UncaughtException",
    60006: "StackOverflow: more than 100 frames in one fiber",
}

/** A panic code in words. */
export function panicMeaning(code: number): string {
    return meanings[code] ?? (code >= 60100 ? "the image is not valid" : "the program's own panic code")
}
