/* Go takes its random numbers from ProcessPrng of bcryptprimitives.dll, which
 * Wine 8, as Debian 12 has it, lacks. This DLL gives it that one function. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID, ULONG); /* RtlGenRandom of advapi32 */

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE to, SIZE_T n) {
  return n <= 0xffffffff && SystemFunction036(to, (ULONG)n);
}
