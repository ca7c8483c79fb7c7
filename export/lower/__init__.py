"""From an fp32 file to fp16, bf16, int8 and fp8."""
