import { Code } from "../../firmware/core/errors.ts"

/** What a device's refusal means for a person, and what to do about it. */
const help: Partial<Record<Code, string>> = {
    [Code.CommandForm]: "the device does not read this as a command; is its software of this version?",
    [Code.CommandPeriod]: "the command is valid for too long or ends before it begins: give a shorter --valid",
    [Code.CommandSignature]: "the signature does not hold: something on the way changed the command",
    [Code.SignerUnknown]: "the device does not know the certificate that the command names; ask again without --brief",
    [Code.CommandNotYetValid]:
        "by the device's clock the command is not valid yet: compare this computer's time with the device's",
    [Code.CommandExpired]:
        "by the device's clock the command has expired: compare this computer's time with the device's",
    [Code.CommandReplayed]:
        "the device has seen this counter or a higher one of this key: ask again; if another program signs with the same key, give both the same --counter file",
    [Code.SignerForgotten]:
        "the signer is new to the device and its certificate ends too early: renew the certificate (plomb pki renew) and ask again",
    [Code.TooManySigners]:
        "the device counts for 24 signers and all are in force: use one that it knows, or wait until one has ended",
    [Code.LogbookFull]:
        "the metrological logbook is full: the institute reads it (plomb operator logbook metrological --out FILE) and resets it (… reset)",
    [Code.Busy]: "the device is at something else: ask again",
    [Code.ChainIssuer]:
        "nobody whom the device trusts has certified this signer: it belongs to another provider or another PKI, or the MUC has not brought the meter its provider's certificate yet (a minute)",
    [Code.ChainKeyId]: "the signer's issuer has another key than the one the device holds: has the provider changed?",
    [Code.ChainSignature]: "the signer's certificate is not signed by the issuer that the device holds",
    [Code.ChainExpired]: "the signer's certificate, or its issuer's, has expired: plomb pki renew",
    [Code.ChainNotYetValid]: "the signer's certificate is not valid yet by the device's clock",
    [Code.ChainRevoked]: "the signer's certificate, or its issuer's, was revoked",
    [Code.RoleMissing]: "the certificate states no role: renew it with plomb pki renew",
    [Code.RoleVersionOld]:
        "the device asks for a higher version of this role: renew the certificate with --role-version, if the provider lets this holder go on",
    [Code.RoleNotCertifiable]: "the issuer may not certify this role: see plomb pki show",
    [Code.RightsBeyondIssuer]: "the certificate gives rights that its issuer lacks: issue it anew with fewer --rights",
    [Code.NotTried]: "a request before this one in the same command failed, so this one was not tried",
    [Code.CommandTarget]: "the command is for another device: check --target",
    [Code.NotSigned]: "the device wants a signed command",
    [Code.FunctionDenied]:
        "the device's access table does not give this function to the role: plomb operator access show; who may change the row can grant it",
    [Code.RightMissing]:
        "the signer's certificate does not name this function among its rights: plomb pki renew --rights",
    [Code.AccessVersion]: "the access table was changed meanwhile: look at it again and repeat the change",
    [Code.AccessFixed]: "this right can not be taken away from this role",
    [Code.AccessCeiling]: "this role can never have this function",
    [Code.AccessEditor]:
        "this row is not this signer's to change: the metrological rows are the institute's, the others the provider's",
    [Code.AccessRoleVersion]:
        "the least version of a role only rises, and not above that of the certificate which the device holds",
    [Code.LogbookNotSeen]: "there are entries newer than the last one read: read the logbook again, then reset",
    [Code.TimeNotTrusted]:
        "the device's clock is not set: the institute or the calibration authority sets it (plomb operator set-time)",
    [Code.KeyAbsent]: "the device holds no key, or no new one was begun",
    [Code.CertificateForOtherKey]:
        "the certificate is for another key than the one the device made: begin the rollover again",
    [Code.CertificateForOtherName]: "the certificate names another device",
    [Code.ProviderHeld]:
        "the device holds a provider's certificate; the present provider hands it over (plomb operator provider change)",
    [Code.StepOutOfOrder]: "this step was not prepared by the one before it: begin again",
    [Code.PackageForm]: "this is no software package",
    [Code.PackageSigner]:
        "a signature that the package must carry is missing, or is by another: see plomb package inspect",
    [Code.PackageSignature]: "a signature of the package does not hold: see plomb package verify",
    [Code.PackageHash]: "what came is not what was announced, or the image is not the one that its manifest names",
    [Code.SlotForm]: "the package, or the block, is longer or shorter than a slot takes",
    [Code.SlotIdle]: "no package is announced: deliver it again",
    [Code.SlotBlock]:
        "the block is not the one announced: something on the way changed it, or another package was announced",
    [Code.SlotState]: "the device's slots are not in the state for this: plomb operator software list",
    [Code.SoftwareComponent]: "the software is for another kind of device, or not approved",
    [Code.SoftwareHardware]: "the software is for another hardware model",
    [Code.SoftwareRuntime]: "the software needs a newer runtime than the device has",
    [Code.SoftwareVersion]: "the software is not newer than what runs",
    [Code.SoftwareFloor]: "the version is below the floor: nothing so old runs any more",
    [Code.SoftwareSelfTest]: "its self-test failed",
    [Code.SoftwareUnconfirmed]: "nobody confirmed it within its trial",
    [Code.SoftwareStarts]: "its trial began too often: the device lost power, or the software failed each time",
    [Code.SoftwarePutBack]: "it was put back by command",
    [Code.SoftwareNone]: "no software that may run is left",
    [Code.FloorDamaged]: "the record of the floor is not the one that the secure element counts for",
    [Code.ModuleImage]: "it is no image that the device can load",
    [Code.ModuleUnsupported]: "it uses what modules may not use",
    [Code.ModuleSteps]: "it ran longer than a module may",
    [Code.ModuleMemory]: "it took more memory than a module may have",
    [Code.ModuleThrew]: "it threw an exception",
    [Code.OutOfRange]: "a value is outside of what the device takes",
}

/** Code in an Attention's text, `E5213` or `E5213 …`; undefined where there is none. */
export function codeIn(text: string | undefined): number | undefined {
    const match = /^E(\d{4})/.exec(text ?? "")
    return match ? Number(match[1]) : undefined
}

/** A refusal in words: code, name, what to do. `attention` is the last two octets of SML's number in hex. */
export function refusalText(attention: string | undefined, text: string | undefined): string {
    const code = codeIn(text)
    if (code !== undefined)
        return `E${code} ${Code[code] ?? ""}`.trim() + (help[code as Code] ? `: ${help[code as Code]}` : "")
    const plain: Record<string, string> = {
        fe01: "the device does not know this request",
        fe03: "the MUC does not reach the meter: is it on the line, and does it have power?",
        fe15: "the MUC is busy: ask again",
        fe11: "there is nothing of this kind yet",
        fe13: "there is nothing in this range",
    }
    return `attention ${attention ?? "?"}${text ? ` ${text}` : ""}${plain[attention ?? ""] ? `: ${plain[attention ?? ""]}` : ""}`
}
