/** At most `most` of them, evenly spread, first and last among them. */
export function spread<T>(all: T[], most: number): T[] {
    if (all.length <= most) return all
    return Array.from({ length: most }, (_, i) => all[most > 1 ? Math.round((i * (all.length - 1)) / (most - 1)) : 0])
}
