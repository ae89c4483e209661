/** `raw` x 10^`scaler` as exact decimal text; trailing zeros are kept as the scaler says. */
export function decimal(raw: bigint, scaler: number): string {
    if (scaler >= 0) return String(raw * 10n ** BigInt(scaler))
    const digits = String(raw < 0n ? -raw : raw).padStart(1 - scaler, "0")
    return (raw < 0n ? "-" : "") + digits.slice(0, scaler) + "." + digits.slice(scaler)
}
