import { Fn } from "../../firmware/core/access.ts"
import { Role } from "../../firmware/core/x509-role.ts"
import { PkiError } from "./files.ts"

/** The functions of the access table by name, in the order of their numbers. */
export const functionNames: string[] = Object.keys(Fn)
    .filter(name => /^[a-z]/i.test(name))
    .sort((a, b) => numberOf(a) - numberOf(b))

function numberOf(name: string): number {
    return Fn[name as keyof typeof Fn]
}

/** Bits of rights from names, `readCurrent,readProfile`; "none" for none. Throws a `PkiError`. */
export function rightsOf(text: string): number {
    if (text === "none") return 0
    return text.split(",").reduce((rights, each) => {
        const name = functionNames.find(known => known.toLowerCase() === each.trim().toLowerCase())
        if (!name) throw new PkiError(`"${each}" is no function; they are ${functionNames.join(", ")}`)
        return rights | (1 << numberOf(name))
    }, 0)
}

/** Names of the functions whose bits are set. */
export function rightNames(rights: number): string[] {
    return Array.from({ length: 31 }, (_, bit) => bit)
        .filter(bit => rights & (1 << bit))
        .map(bit => Fn[bit] ?? `function ${bit}`)
}

/** The same in one text. */
export function rightsText(rights: number): string {
    return rightNames(rights).join(", ") || "none"
}

/** Name of a role by its number. */
export function roleName(role: number): string {
    return Role[role] ?? `role ${role}`
}
