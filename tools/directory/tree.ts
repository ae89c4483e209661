import { type Dn, lineage, parentKey, readDn } from "./dn.ts"
import type { Entry } from "./entry.ts"
import type { SearchRequest } from "./requests.ts"
import { LdapError, ResultCode } from "./result.ts"
import type { Store } from "./store.ts"

/** The one naming context of this directory. */
export const suffix = readDn("o=plomb")

/** The entries below `suffix`, each change in the store before it is seen. Changes throw `LdapError`. */
export class Tree {
    private readonly entries = new Map<string, Entry>()
    private readonly children = new Map<string, Set<string>>()

    constructor(private readonly store: Store) {
        for (const entry of store.load()) this.keep(entry)
    }

    /** The entry of this name, or `LdapError` noSuchObject with the nearest one above. */
    get(dn: Dn): Entry {
        const found = this.entries.get(dn.key)
        if (found) return found
        const above = lineage(dn).find(key => this.entries.has(key))
        throw new LdapError(ResultCode.noSuchObject, "no such entry", above && this.entries.get(above)?.dn.text)
    }

    has(dn: Dn): boolean {
        return this.entries.has(dn.key)
    }

    /** Refuses what can not be added here, whatever is in it. */
    checkPlace(dn: Dn): void {
        if (this.has(dn)) throw new LdapError(ResultCode.entryAlreadyExists, "this entry exists")
        if (dn.key === suffix.key) return
        if (!lineage(dn).includes(suffix.key))
            throw new LdapError(ResultCode.unwillingToPerform, `only what is below ${suffix.text} is kept here`)
        this.get({ ...dn, key: parentKey(dn), rdns: dn.rdns.slice(1) })
    }

    /** Puts an entry in its place, new or instead of the one before. */
    put(entry: Entry): void {
        const now = Buffer.from(`${new Date().toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`)
        const created = this.entries.get(entry.dn.key)?.attributes.get("createTimestamp") ?? [now]
        const attributes = new Map(entry.attributes)
        attributes.set("createTimestamp", created).set("modifyTimestamp", [now])
        const kept = { dn: entry.dn, attributes }
        this.store.put(kept)
        this.keep(kept)
    }

    remove(dn: Dn): void {
        this.get(dn)
        if (this.children.get(dn.key)?.size)
            throw new LdapError(ResultCode.notAllowedOnNonLeaf, "there are entries below")
        this.store.remove(dn)
        this.entries.delete(dn.key)
        this.children.delete(dn.key)
        this.children.get(parentKey(dn))?.delete(dn.key)
    }

    /** The entries in the scope of a search, the base first. Throws `LdapError` where there is no base. */
    *inScope(base: Dn, scope: SearchRequest["scope"]): Generator<Entry> {
        const top = this.get(base)
        if (scope !== "one") yield top
        if (scope === "base") return
        const waiting = [...(this.children.get(top.dn.key) ?? [])]
        for (let key = waiting.shift(); key !== undefined; key = waiting.shift()) {
            // Removed while a slow reader took what came before
            const entry = this.entries.get(key)
            if (!entry) continue
            yield entry
            if (scope === "sub") waiting.push(...(this.children.get(key) ?? []))
        }
    }

    private keep(entry: Entry): void {
        this.entries.set(entry.dn.key, entry)
        const above = parentKey(entry.dn)
        const siblings = this.children.get(above)
        if (siblings) siblings.add(entry.dn.key)
        else this.children.set(above, new Set([entry.dn.key]))
    }
}
