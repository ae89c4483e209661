import { installDevicePlatform } from "../../../hal/runtime"
import { serveCases } from "../../../tools/vm/device/serve"
import { samples } from "./sml-samples"

installDevicePlatform(() => false)
serveCases(100, _request => samples())
