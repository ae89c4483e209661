import { installDevicePlatform } from "../../../hal/runtime"
import { serveCases } from "../../vm/device/serve"
import { answer } from "./sandbox-answer"

installDevicePlatform(() => true)
serveCases(9000, answer)
