/** LDAP result codes that the embedded directory gives (RFC 4511 4.1.9, appendix A). */
export enum ResultCode {
    success = 0,
    protocolError = 2,
    timeLimitExceeded = 3,
    sizeLimitExceeded = 4,
    compareFalse = 5,
    compareTrue = 6,
    authMethodNotSupported = 7,
    strongerAuthRequired = 8,
    unavailableCriticalExtension = 12,
    noSuchAttribute = 16,
    undefinedAttributeType = 17,
    constraintViolation = 19,
    attributeOrValueExists = 20,
    invalidAttributeSyntax = 21,
    noSuchObject = 32,
    invalidDNSyntax = 34,
    inappropriateAuthentication = 48,
    invalidCredentials = 49,
    insufficientAccessRights = 50,
    unavailable = 52,
    unwillingToPerform = 53,
    namingViolation = 64,
    objectClassViolation = 65,
    notAllowedOnNonLeaf = 66,
    notAllowedOnRDN = 67,
    entryAlreadyExists = 68,
    objectClassModsProhibited = 69,
    other = 80,
}

/** An operation ends with this result; the message is the diagnosticMessage of the answer. */
export class LdapError extends Error {
    constructor(
        readonly code: ResultCode,
        message: string,
        /** DN of the nearest entry that exists, for noSuchObject. */
        readonly matchedDn = "",
    ) {
        super(message)
    }
}
