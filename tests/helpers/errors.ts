import { Code, PlombError } from "../../firmware/core/errors"

/** The name of the code `action` throws, or "none"; any other error passes. */
export function codeThrown(action: () => unknown): string {
    try {
        action()
    } catch (error) {
        if (error instanceof PlombError) return Code[error.code]
        throw error
    }
    return "none"
}
