/**
 * Every error this firmware raises. The code is what the wire and the logbook carry and what tests
 * assert; the text is for people and may change.
 *
 * The thousands say whose fault it is: 1 the caller, 2 the data that came in, 3 a proof that failed,
 * 4 a device, 5 a missing right. The hundreds say which room: 0 octets, 1 DER and CBOR, 2 X.509,
 * 3 P-256 and LMS, 4 SML, 5 signed lists, commands, packages and modules, 6 bus and chips, 7 storage, 8 calibration, 9 links.
 */
export enum Code {
    /** An error that is not one of these: a defect of the program. */
    Unexpected = 1000,
    BadArgument = 1001,
    /** A private key that is not 32 octets of 1 to order - 1. */
    BadPrivateKey = 1301,
    /** A value handed to the SML writer does not fit the message's table. */
    SmlValue = 1400,
    /** A calibration step before the one it builds on. */
    StepOutOfOrder = 1800,
    /** A certificate that a calibration step needs has not been put into its slot. */
    CertificateMissing = 1801,
    /** Installation is not over: a key or the password is still to be brought. */
    InstallationIncomplete = 1802,
    /** A TLS connection is not open, or dead. */
    TlsNotOpen = 1900,
    OutOfRange = 2001,
    /** An element reaches beyond what contains it, or is missing. */
    DerTruncated = 2101,
    DerTag = 2102,
    /** The length is indefinite, not in the fewest octets, or above 16 MB. */
    DerLength = 2103,
    /** Octets are left behind the last element. */
    DerTrailing = 2104,
    /** The content breaks DER: Boolean, integer, bit string, object identifier or time. */
    DerValue = 2105,
    /** An item reaches beyond what contains it, or is missing. */
    CborTruncated = 2110,
    /** Not deterministic: a number is not in the fewest octets. */
    CborForm = 2111,
    /** Indefinite length, floating point, a simple value but false, true and null, or a reserved head. */
    CborUnsupported = 2112,
    /** Another major type than is due here. */
    CborType = 2113,
    /** A map's key is repeated, out of order, above 256 octets, or no number or string. */
    CborKey = 2114,
    CborDepth = 2115,
    /** An integer does not fit its place. */
    CborRange = 2116,
    /** A text is not UTF-8. */
    CborText = 2117,
    /** Octets are left behind the last item. */
    CborTrailing = 2118,
    /** Version, or a field that this version does not have. */
    X509Version = 2201,
    X509Serial = 2202,
    X509Name = 2203,
    /** The object is well formed, but not ecdsa-with-SHA256 or its key is not on P-256. */
    X509Algorithm = 2204,
    /** The two statements of the signature algorithm differ. */
    X509AlgorithmDiffers = 2205,
    X509Repeated = 2206,
    /** A critical extension that is not understood. */
    X509Critical = 2207,
    /** The content of an extension breaks its profile. */
    X509Extension = 2208,
    /** A delta, indirect or partial revocation list. */
    CrlKind = 2209,
    /** A revocation list or certificate is longer than the place kept for it. */
    CrlTooLong = 2210,
    CertificateTooLong = 2211,
    /** A public key that is no point of P-256. */
    BadPublicKey = 2301,
    /** A public key of LMS that has no known parameter set, another length, or too many levels. */
    LmsKey = 2302,
    /** A new SML file began before the last one ended. */
    SmlTruncated = 2400,
    /** An escape inside an SML file is followed by nothing the transport protocol knows. */
    SmlEscape = 2401,
    /** The end of an SML file is out of place: fill octets, length or what follows it. */
    SmlEnd = 2402,
    SmlFileCrc = 2403,
    /** An SML file is longer than the receiver's buffer. */
    SmlTooLong = 2404,
    /** Transport protocol version 2 (block transfer) is recognised and not supported. */
    SmlVersion2 = 2405,
    /** Nothing came for too long in the middle of an SML file. */
    SmlTimeout = 2406,
    /** A type-length field is malformed, or its element runs past the end. */
    SmlLength = 2410,
    /** Another SML type than the message's table has at this place. */
    SmlType = 2411,
    /** A list has another number of elements than the message's table. */
    SmlCount = 2412,
    /** A value has more or fewer octets than its place allows. */
    SmlWidth = 2413,
    SmlNesting = 2414,
    /** A choice carries a tag nobody defined. */
    SmlTag = 2415,
    SmlMessageCrc = 2416,
    /** The octet 00 that ends an SML message is missing. */
    SmlMessageEnd = 2417,
    SmlTooManyMessages = 2418,
    /** M-Bus from here on: start, length or stop of a frame is out of place. */
    MbusFrame = 2450,
    /** The checksum of a wired frame or the CRC of a wireless block does not hold. */
    MbusChecksum = 2451,
    /** A CI field that nobody defined, or that is no answer of a meter. */
    MbusControlInformation = 2452,
    /** A header is cut short or contradicts itself. */
    MbusHeader = 2453,
    /** A data record reaches beyond its telegram. */
    MbusRecordTruncated = 2454,
    /** A data record with more than ten extensions, or with a reserved field. */
    MbusRecordForm = 2455,
    /** A security mode, key derivation or kind of proof that is not supported. */
    MbusMode = 2456,
    /** A fragment of a message, and not all the others with it. */
    MbusFragment = 2457,
    /** IEC 62056-21 from here on: an octet breaks the even parity that the others have. */
    IecParity = 2460,
    /** A start, bracket, address or end is missing or out of place. */
    IecForm = 2461,
    /** The block check character does not hold. */
    IecCheck = 2462,
    /** The CRC of a P1 telegram does not hold. */
    P1Crc = 2463,
    /** No HDLC frame of format type 3: format, length, address or control field. */
    HdlcFrame = 2470,
    /** The check sequence of an HDLC frame or of its header does not hold. */
    HdlcCheck = 2471,
    /** A frame or segment out of its order. */
    HdlcSequence = 2472,
    /** COSEM data reaches beyond what contains it. */
    AxdrTruncated = 2475,
    /** No type of COSEM data, or one that can not stand here. */
    AxdrType = 2476,
    AxdrDepth = 2477,
    /** No APDU of DLMS that is known here. */
    DlmsTag = 2480,
    /** An APDU is cut short, or a field of it malformed. */
    DlmsForm = 2481,
    /** A security suite, key set, compression or mechanism that is not supported. */
    DlmsMode = 2482,
    /** An APDU or block that is not due here. */
    DlmsUnexpected = 2483,
    /** A signed list is not one of the profile: wrong carrier, or the identifier does not fit. */
    ListProfile = 2500,
    /** A mandatory entry of a signed list is missing or out of order. */
    ListOrder = 2501,
    /** An entry of a signed list has another type, width, unit or scaler than the profile says. */
    ListEntry = 2502,
    /** No COSE_Sign or COSE_Sign1: tag, number of elements, or too many signers. */
    CoseForm = 2510,
    /** A header parameter that must be protected is not, stands twice, or has another type. */
    CoseHeader = 2511,
    /** A critical header parameter that is not understood. */
    CoseCritical = 2512,
    /** The payload is detached and not handed over, or the other way round. */
    CosePayload = 2513,
    /** No signed command: its messages, its header or the certificates in it. */
    CommandForm = 2520,
    /** A command's validity ends before it begins, or is longer than a day. */
    CommandPeriod = 2521,
    /** No access table: its length, or a role that none may have. */
    AccessForm = 2522,
    /** No software package: its structure, or a field of its manifest. */
    PackageForm = 2530,
    /** No announcement of a package, or no block of the one announced: length, number. */
    SlotForm = 2531,
    /** No DeviceScript image of version 2.16: magic, version, or a table that reaches outside. */
    ModuleImage = 2550,
    /** A module's code is malformed: operands, jump, index, or a function that does not end. */
    ModuleCode = 2551,
    /** A module uses what the sandbox does not have; the text names it, `at` is its place in the image. */
    ModuleUnsupported = 2552,
    /** A module ran past the work it may do in one call. */
    ModuleSteps = 2560,
    /** A module holds or makes more than its memory. */
    ModuleMemory = 2561,
    ModuleDepth = 2562,
    /** A module reached for a name that leads out of its objects. */
    ModuleName = 2563,
    /** A module threw and did not catch. */
    ModuleThrew = 2564,
    /** A module has not registered this entry. */
    ModuleEntry = 2565,
    /** It answered what means nothing there. */
    ModuleAnswer = 2566,
    /** TLS from here on: a field or message is cut short, too long or malformed. */
    TlsDecode = 2900,
    /** A message or record out of its place. */
    TlsUnexpected = 2901,
    /** A value that contradicts another or what was offered. */
    TlsIllegal = 2902,
    /** A record above what we said we take. */
    TlsOverflow = 2903,
    /** The peer does not speak TLS 1.3. */
    TlsVersion = 2904,
    /** Nothing in common: cipher suite, group or signature algorithm. */
    TlsNoCommon = 2905,
    TlsMissingExtension = 2906,
    /** The server answers an extension that was not offered. */
    TlsUnsupportedExtension = 2907,
    /** The client asks for a server of another name. */
    TlsUnknownName = 2908,
    /** A handshake message above the limit, or too many certificates. */
    TlsTooLarge = 2909,
    /** The transport ended without the peer's close_notify: what came may be cut short. */
    TlsTruncated = 2910,
    /** The peer ended the connection with a fatal alert. */
    TlsAlert = 2911,
    /** No LDAPv3 message: its BER or its structure. */
    LdapForm = 2950,
    /** A message of the directory is longer than what is asked of it may be. */
    LdapTooLarge = 2951,
    /** A message with another id than the request's. */
    LdapId = 2952,
    /** The directory names another one to ask. */
    LdapReferral = 2953,
    /** A control comes that nobody asked for. */
    LdapControl = 2954,
    /** An unsolicited notification: the directory is about to disconnect. */
    LdapNotice = 2955,
    /** A response that is not due here. */
    LdapUnexpected = 2956,
    /** The directory refuses: its result code stands in the text. */
    LdapRefused = 2957,
    /** The directory has no such entry, or the entry not this attribute. */
    LdapMissing = 2958,
    /** PLC links from here on: no frame of this version, or too short or too long for one. */
    PlcForm = 2970,
    /** The framing or the CRC of a frame does not hold: disturbed on the line. */
    PlcDamaged = 2971,
    /** A frame of or for somebody else. */
    PlcUnknownPeer = 2972,
    /** A proved frame carries no message that is known here. */
    PlcMessage = 2973,
    /** The telegram of a meter is longer than any that is kept. */
    TelegramTooLong = 2701,
    /** The tag of a sealed message does not hold: changed octets, or another key or nonce. */
    TagMismatch = 3000,
    ChainSignature = 3201,
    ChainExpired = 3202,
    ChainNotYetValid = 3203,
    /** The issuer named is not the next certificate, nor one of the anchors. */
    ChainIssuer = 3204,
    /** Key identifiers of certificate and issuer differ, or one is missing. */
    ChainKeyId = 3205,
    /** Used as an issuer without being a certification authority. */
    ChainNotCa = 3206,
    ChainPathLength = 3207,
    ChainKeyUsage = 3208,
    ChainExtendedKeyUsage = 3209,
    /** More certificates than the caller allows. */
    ChainTooLong = 3210,
    ChainRevoked = 3211,
    ChainNameConstraints = 3212,
    /** No revocation list of this issuer is at hand. */
    CrlMissing = 3213,
    /** The list's next update is past. */
    CrlStale = 3214,
    CrlNotYetValid = 3215,
    CrlSignature = 3216,
    /** The request is not signed with the key it names. */
    CsrSignature = 3217,
    /** A list whose number is not higher than that of the one held. */
    CrlNotNewer = 3218,
    /** An encrypted telegram, and no key for it. */
    MbusNoKey = 3450,
    /** What came out of a telegram with this key is no plain text. */
    MbusWrongKey = 3451,
    /** The MAC does not hold though the key is right: changed on its way. */
    MbusMac = 3452,
    /** The telegram is not newer than the last one of this meter. */
    MbusReplayed = 3453,
    /** A ciphered APDU, and no key for it. */
    DlmsNoKey = 3460,
    /** What came out of a ciphered APDU with this key is no plain text. */
    DlmsWrongKey = 3461,
    /** The tag does not hold though the encryption key gives plain text: changed on its way, or another authentication key. */
    DlmsMac = 3462,
    /** The invocation counter is not higher than the last one of this meter. */
    DlmsReplayed = 3463,
    /** A signature that a package needs is missing; the place tells whose (`PackageSigner`). */
    PackageSigner = 3530,
    /** A signature of a package does not hold; the place tells whose. */
    PackageSignature = 3531,
    /** The image is not the one that the manifest names. */
    PackageHash = 3532,
    /** The signature of a command does not hold. */
    CommandSignature = 3540,
    /** A command names its signer's certificate only, and that is neither held nor known from before. */
    SignerUnknown = 3541,
    CommandNotYetValid = 3542,
    CommandExpired = 3543,
    /** The counter is not higher than the last one of this signer. */
    CommandReplayed = 3544,
    /** A signer that is not known and whose certificate ends before one that was forgotten: an old command could count again. */
    SignerForgotten = 3545,
    /** The certificate is not for the key that this device made. */
    CertificateForOtherKey = 3800,
    /** The certificate does not name this device. */
    CertificateForOtherName = 3801,
    /** The peer's Finished does not fit what was said. */
    TlsFinished = 3900,
    /** The peer's CertificateVerify does not hold. */
    TlsSignature = 3901,
    /** The binder of a pre-shared key does not hold. */
    TlsBinder = 3902,
    /** The client has no certificate for us. */
    TlsCertificateRequired = 3903,
    /** The certificate is not for the host that was called. */
    TlsHostName = 3904,
    /** A frame is not under a key that this PLC link holds. */
    PlcWrongKey = 3970,
    /** A frame that was taken already, or may have been before a power cut. */
    PlcReplayed = 3971,
    /** A frame that comes for the first time, but behind one that was sent after it. */
    PlcLate = 3972,
    /** Nothing acknowledged the address: on a running board a disturbance, or a part that is busy or asleep. */
    BusAddressNack = 4600,
    /** The part stopped acknowledging within a write. */
    BusDataNack = 4601,
    /** SDA or SCL is held low. */
    BusStuck = 4602,
    /** A part never answered since the start of the program. */
    PartAbsent = 4603,
    /** Something answers at the address, but it is another part. */
    PartMismatch = 4604,
    /** A register or memory cell does not hold what was just written. */
    ReadBackMismatch = 4605,
    /** A value the part cannot have: the bus or the supply is disturbed. */
    ImpossibleValue = 4606,
    /** The FRAM kept its old content: its write protection pin is high. */
    FramWriteProtected = 4607,
    /** The front end was reset since it was started; energy since the last call is unknown. */
    FrontEndReset = 4610,
    /** The front end was not asked in time; its energy register may have wrapped unseen. */
    FrontEndOverdue = 4611,
    /** The secure element answered before and does not wake any more. */
    ElementWake = 4620,
    /** The secure element's answer is damaged, however often it is read. */
    ElementAnswerCrc = 4621,
    /** The secure element received a damaged command, however often it is sent (status FF). */
    ElementCommandCrc = 4622,
    /** No answer within the execution time of the command. */
    ElementBusyTooLong = 4623,
    /** Too little time left to the watchdog, also after a fresh wake (status EE). */
    ElementWatchdog = 4624,
    /** The secure element restarts in the midst of the command, each time (status 11): weak supply. */
    ElementRestart = 4625,
    /** The command is malformed whatever the state (status 03). */
    ElementParse = 4626,
    /** Not allowed in the present state of locks, slot and TempKey (status 0F). */
    ElementExecution = 4627,
    /** Fault in the elliptic curve computation, also when repeated (status 05). */
    ElementEccFault = 4628,
    /** The secure element failed its self-test and is in failure mode (status 07). */
    ElementSelfTest = 4629,
    /** The random number generator failed its health test (status 08). */
    ElementRandom = 4630,
    /** A status this table does not know. */
    ElementStatus = 4631,
    /** Another fiber holds the secure element for too long. */
    ElementOccupied = 4632,
    /** The configuration zone must be locked first. */
    ElementNotLocked = 4633,
    /** The zone is locked already. */
    ElementLocked = 4634,
    /** The configuration is locked with other contents than this firmware needs: the part is unusable here. */
    ElementConfigForeign = 4635,
    /** Octets came faster than they were read; some are lost. */
    UartOverrun = 4640,
    /** The UART lost its settings: it was reset. */
    UartReset = 4641,
    /** Queued octets do not leave. */
    UartBlocked = 4642,
    /** Somebody talks on the line without an end. */
    LineBusy = 4643,
    /** The clock was never set, or has stopped since: what depends on the time is not done. */
    TimeNotTrusted = 4650,
    /** A record of the store is damaged; it is not merely unwritten. */
    RecordDamaged = 4700,
    /** Something else is under way; ask again. */
    Busy = 4701,
    /** The list of meters is full. */
    TooManyMeters = 4702,
    /** No room for another symmetric key. */
    TooManyKeys = 4703,
    /** No room for the counter of another signer. */
    TooManySigners = 4704,
    /** The metrological logbook is full: nothing metrological is written until it has been read and reset. */
    LogbookFull = 4705,
    /** No key is held. */
    KeyAbsent = 4710,
    /** The peer or the network said no to a connection. */
    LinkRefused = 4900,
    /** Nothing came for too long: no connection, or no answer from the bridge. */
    LinkTimeout = 4901,
    /** The connection ended while octets were being sent. */
    LinkLost = 4902,
    /** A meter of the line does not answer. */
    MeterSilent = 4903,
    /** A meter answers, but not that it has done what it was told. */
    MeterRefused = 4904,
    /** Every answer came damaged: several meters at one address, or a disturbed line. */
    MeterGarbled = 4905,
    /** Who answers is not the meter that was asked. */
    MeterOther = 4906,
    /** The certificate has no role, or not one that this place asks for. */
    RoleMismatch = 5200,
    /** A provider's certificate is in force already; changing the provider is another order. */
    ProviderHeld = 5201,
    /** The certificate has no role. */
    RoleMissing = 5202,
    /** The access table asks for a higher version of this role. */
    RoleVersionOld = 5203,
    /** A role that the issuer may not certify, or that commands only with a certificate held. */
    RoleNotCertifiable = 5204,
    /** A certificate gives rights that its issuer does not have. */
    RightsBeyondIssuer = 5205,
    /** The provider that the manufacturer has deleted on this device. */
    ProviderDeleted = 5206,
    /** A request behind one of the same command that failed: it was not tried. */
    NotTried = 5210,
    /** The command is for another device. */
    CommandTarget = 5211,
    /** What is asked for needs a signed command. */
    NotSigned = 5212,
    /** The access table does not give this function to the role. */
    FunctionDenied = 5213,
    /** The signer's certificate does not give this function. */
    RightMissing = 5214,
    /** Too many wrong passwords of the customer: nobody is let in for a while. */
    PasswordLocked = 5215,
    /** An access table whose version is not the next one. */
    AccessVersion = 5220,
    /** A right that can not be taken away. */
    AccessFixed = 5221,
    /** A right that this role can never have. */
    AccessCeiling = 5222,
    /** A row of the table that is not this signer's to change. */
    AccessEditor = 5223,
    /** The least version of a role goes down, or above that of the certificate held. */
    AccessRoleVersion = 5224,
    /** The logbook has entries newer than the last one seen: read these first. */
    LogbookNotSeen = 5225,
    /** No package is being received. */
    SlotIdle = 5230,
    /** A block that is not the one announced. */
    SlotBlock = 5231,
    /** The software named is not in the state that this needs, or there is no room for another on trial. */
    SlotState = 5232,
    /** A package for another component. */
    SoftwareComponent = 5233,
    /** A package for another hardware model. */
    SoftwareHardware = 5234,
    /** A package that needs a newer runtime. */
    SoftwareRuntime = 5235,
    /** A package that is not newer than what runs. */
    SoftwareVersion = 5236,
    /** A package below the floor under which nothing runs. */
    SoftwareFloor = 5237,
    /** The module's self-test failed; the place tells its answer. */
    SoftwareSelfTest = 5238,
    /** What was on trial was not confirmed in time. */
    SoftwareUnconfirmed = 5239,
    /** What was on trial had to be started too often. */
    SoftwareStarts = 5240,
    /** What ran was put back by order. */
    SoftwarePutBack = 5241,
    /** The record of the floor is missing, altered or an older one: no version can be trusted to be new enough. */
    FloorDamaged = 5242,
    /** No software that may run is left: nothing is measured. */
    SoftwareNone = 5243,
    /** Calibration is closed; opening it again needs an order of the calibration authority. */
    AlreadyCalibrated = 5800,
    /** Installation is closed; opening it again needs an order of an authority. */
    AlreadyInstalled = 5801,
    /** This image signs nothing at this step: before calibration is closed only `meter_calibration` does, afterwards only `meter`. */
    NotCalibrated = 5802,
    /** The peer's certificate is sound, but not of a role that may be at the other end. */
    TlsRole = 5900,
}

/**
 * What was expected, what came, and where (`at`: octet offset in the input, I2C address of the part, or -1 where there is neither).
 * Neither text ever carries key material. Images are built without the texts (tools/build/texts.ts): a board tells code and place.
 */
export class PlombError extends Error {
    constructor(
        readonly code: number,
        readonly at: number,
        readonly expected: string,
        readonly came: string,
    ) {
        super("E" + code + (at >= 0 ? " at " + at : "") + (expected ? ": expected " + expected + ", came " + came : ""))
        this.name = "PlombError"
    }
}

/** Throws the one typed error. In sources all four are given. */
export function fail(code: number, at = -1, expected = "", came = ""): never {
    throw new PlombError(code, at, expected, came)
}
