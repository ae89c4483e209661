/**
 * The strings every DeviceScript 2.16 runtime has and images name by number (enumeration BuiltIn_String of its bytecode
 * specification): the text, with one blank between two, and where each begins.
 */
const text =
    " -Infinity DeviceScript E Infinity LN10 LN2 LOG10E LOG2E NaN PI SQRT1_2 SQRT2 abs alloc array blitAt " +
    "boolean buffer cbrt ceil charCodeAt clamp exp false fillAt floor forEach function getAt idiv imul " +
    "isBound join length log log10 log2 map max min next null number onChange onConnected onDisconnected " +
    "packet _panic pop pow prev prototype push random randomInt read restart round setAt setLength shift " +
    "signal slice splice sqrt string subscribe toString true undefined unshift wait write sleep imod " +
    "format insert start cloud main charAt object parseInt parseFloat assign keys values __func__ role " +
    "deviceIdentifier shortId serviceIndex serviceCommand payload decode encode _onPacket code name " +
    "isEvent eventCode isRegSet isRegGet regCode flags isReport isCommand isArray inline assert pushRange " +
    "sendCommand __stack__ Error TypeError RangeError stack message cause __new__ setPrototypeOf " +
    "getPrototypeOf constructor __proto__ _logRepr print everyMs setInterval setTimeout clearInterval " +
    "clearTimeout SyntaxError JSON parse stringify _dcfgString isSimulator Role Fiber suspend resume " +
    "terminate self current id _commandResponse isAction millis from hex utf8 utf-8 suspended reboot " +
    "server spec ServiceSpec classIdentifier lookup PacketSpec parent response ServerInterface " +
    "_onServerPacket _serverSend notImplemented delay fromCharCode _allocRole spiConfigure spiXfer " +
    "_socketOpen _socketClose _socketWrite _socketOnEvent open close error data toUpperCase toLowerCase " +
    "indexOf byteLength Image width height bpp get clone set fill flipX flipY transposed drawImage " +
    "drawTransparentImage overlapsWith fillRect drawLine equals isReadOnly fillCircle blitRow blit " +
    "_i2cTransaction _twinMessage spiSendImage gpio label mode capabilities value setMode fillRandom " +
    "encrypt decrypt digest ledStripSend rotate register event action report type byCode "
const offsets = hex`
    000001000b0018001a00230028002c00330039003d00400048004e00520058005e0065006d00740079007e0089008f009300
    9900a000a600ae00b700bd00c200c700cf00d400db00df00e500ea00ee00f200f600fb000001070110011c012b0132013901
    3d0141014601500155015c0166016b01730179017f0189018f0196019c01a301a801af01b901c201c701d101d901de01e401
    ea01ef01f601fd01030209020e0215021c022502300237023c0243024c02510262026a02770286028e0295029c02a602ab02
    b002b802c202cb02d402dc02e202eb02f502fd0204030b03150321032b0331033b0346034c0354035a036203710380038c03
    96039f03a503ad03b903c403d203df03eb03f003f60300040c0418041d0423042b0432043c04410449044c045d0466046d04
    720476047b0481048b04920499049e04aa04ba04c104cc04d304dc04ec04fc04080517051d052a05350542054a0556056305
    70057f0584058a0590059505a105ad05b505c005c605cc05d305d705db05e105e505ea05f005f60501060b0620062d063606
    3f06460651065c066406690679068606930698069e06a306b006b606be06c906d106d906e006ed06f406fd0603070a071107
    16071d07`

/** How many there are. */
export const builtinCount = 226

/** The string of a number below `builtinCount`. */
export function builtinName(index: number): string {
    return text.slice(offsets.getAt(index * 2, "u16"), offsets.getAt(index * 2 + 2, "u16") - 1)
}

/**
 * By number of a string: what has a native function of this name here. 1 arrays, 2 buffers, 4 strings, 8 `Math`, 16 `Object`,
 * 32 `ds`, 64 `Array`, `Buffer` and `String` themselves; 128 a native of the runtime that a module must not have.
 */
export const natives = hex`
    0000000000000000000000000008400002000000080400000002080000000808000100080000000808000000000000008000
    0800000180800080080000000005000000000200000000008008200100000004002020101010000080000000000000000000
    0000000000000000400000010000000000000000001000000080200000000000000000008000000080000000000000008040
    0000000080000000000000000000008080804080808080808000000000000404040000000000000000000000000000000000
    0000000000808080000000000000000000008000000000000000`
