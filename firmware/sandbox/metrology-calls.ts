/**
 * What the host offers metrological modules (`SandboxHost.calls`), called once a second; the numbers of the calls are their places here. They run
 * under any firmware that has this list, so entries are added at the end and never changed:
 * - `onTick(f)`, `onSelfTest(f)`: `f` answers a number; 0 of the self-test: all is well.
 * - `inputs()`: buffer the host fills before each tick: i32 energy in counts of the front end since the tick before, 0, and of its
 *   second channel, 4; u32 voltage, 8, and current, 12, raw; u32 status of the front end, 16; u32 seconds of the local day, 20;
 *   u8 day of the week, 0 Monday, 24; u8 quality of the time as in signed lists, 25.
 * - `parameters()`: buffer of signed parameters. `state()`: 32 octets that are kept with the registers, in one record, and stay
 *   when another version takes over.
 * - `add(register, microwattSeconds)`: counts energy, never negative: register 0 drawn in all, 1 to 4 tariffs, 9 fed in.
 * - `register(index)`: its count in 0.1 Wh. `tariff(number)`: the tariff in force. `status(bits)`: 8 bits, from bit 16 of the
 *   status word on.
 * - `power(milliwatts)`: for a meter that shows it; signed lists have what the front end says at their moment. `profile(wattSeconds, peakMilliwatts, flags)`: a period of the load profile is over.
 */
export const metrologyCalls = [
    "onTick:f",
    "onSelfTest:f",
    "inputs:",
    "parameters:",
    "state:",
    "add:nn",
    "register:n",
    "tariff:n",
    "status:n",
    "power:n",
    "profile:nnn",
]
