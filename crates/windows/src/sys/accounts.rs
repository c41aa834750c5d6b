//! Accounts: their SIDs, logons, and those that are made for slots.
#![expect(unsafe_code, reason = "calls of the system")]

use std::ffi::c_void;
use std::io;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{HANDLE, LUID, NTSTATUS, RtlNtStatusToDosError};
use windows_sys::Win32::NetworkManagement::NetManagement::{
    NERR_UserExists, NERR_UserNotFound, NetApiBufferFree, NetUserAdd, NetUserGetInfo,
    NetUserSetInfo, UF_ACCOUNTDISABLE, UF_DONT_EXPIRE_PASSWD, UF_NORMAL_ACCOUNT,
    UF_PASSWD_CANT_CHANGE, UF_SCRIPT, USER_INFO_1, USER_INFO_1003, USER_INFO_1008, USER_PRIV_USER,
};
use windows_sys::Win32::Security::Authentication::Identity::{
    KERB_S4U_LOGON, KerbS4ULogon, LSA_HANDLE, LSA_OBJECT_ATTRIBUTES, LSA_STRING,
    LSA_UNICODE_STRING, LsaAddAccountRights, LsaClose, LsaDeregisterLogonProcess,
    LsaFreeReturnBuffer, LsaLogonUser, LsaLookupAuthenticationPackage, LsaNtStatusToWinError,
    LsaOpenPolicy, LsaRegisterLogonProcess, MSV1_0_S4U_LOGON, MsV1_0S4ULogon,
    POLICY_CREATE_ACCOUNT, POLICY_LOOKUP_NAMES, SECURITY_LOGON_TYPE,
};
use windows_sys::Win32::Security::{
    LOGON32_LOGON_BATCH, LOGON32_LOGON_SERVICE, LOGON32_PROVIDER_DEFAULT, LogonUserW,
    LookupAccountNameW, LookupAccountSidW, TOKEN_SOURCE,
};

use super::token::Token;
use super::{check, last, owned, units};
use crate::logon::{LogonError, Password};
use crate::{Found, Sid};

/// The most bytes of a SID.
const SID_BYTES: usize = 68;
/// The most units of a name or of a domain's.
const NAME_UNITS: usize = 512;
/// What every account that was made here has as its comment; no other is ever changed.
const COMMENT: &str = "Runs jobs of the Tessera farm. Made and used by tessera-winlaunch.";
/// The password that stands for *the directory has it*, of managed service accounts (`SERVICE_ACCOUNT_PASSWORD`, lmaccess.h).
const MANAGED: &str = "_SA_{262E99C9-6160-4871-ACEC-4E61736B6F21}";

/// Answers whose name this is, as the authority in it says: `HOST\name`, `DOMAIN\name` or `name@domain`.
///
/// # Errors
/// When nobody has it, or the authority does not answer.
pub fn look_up(name: &str) -> Result<Found, LogonError> {
    let text = units(name).map_err(|_| LogonError::NoSuchAccount)?;
    let (mut sid, mut size) = ([0_u8; SID_BYTES], u32::try_from(SID_BYTES).unwrap_or(0));
    let mut domain = [0_u16; NAME_UNITS];
    let mut domain_len = u32::try_from(NAME_UNITS).unwrap_or(0);
    let mut kind = 0;
    // SAFETY: the name ends with a zero; the buffers are as long as is said, and all live through the call.
    let is_found = unsafe {
        LookupAccountNameW(
            null(),
            text.as_ptr(),
            sid.as_mut_ptr().cast(),
            &raw mut size,
            domain.as_mut_ptr(),
            &raw mut domain_len,
            &raw mut kind,
        )
    };
    if is_found == 0 {
        return Err(LogonError::of(last()));
    }
    let len = usize::from(sid[1]) * 4 + 8;
    let bytes = sid.get(..len).unwrap_or_default();
    let sid = Sid::from_bytes(bytes).ok_or(LogonError::NoSuchAccount)?;
    Ok(Found { sid, kind })
}

/// Answers the name of an account or group, with its authority before it.
///
/// # Errors
/// When it has none.
pub fn name_of(sid: &Sid) -> io::Result<(String, String)> {
    let mut bytes = sid.to_bytes();
    let (mut name, mut domain) = ([0_u16; NAME_UNITS], [0_u16; NAME_UNITS]);
    let mut name_len = u32::try_from(NAME_UNITS).unwrap_or(0);
    let (mut domain_len, mut kind) = (name_len, 0);
    // SAFETY: the SID is valid; the buffers are as long as is said, and all live through the call.
    check(unsafe {
        LookupAccountSidW(
            null(),
            bytes.as_mut_ptr().cast(),
            name.as_mut_ptr(),
            &raw mut name_len,
            domain.as_mut_ptr(),
            &raw mut domain_len,
            &raw mut kind,
        )
    })?;
    let text = |units: &[u16], len: u32| {
        String::from_utf16_lossy(units.get(..len as usize).unwrap_or_default())
    };
    Ok((text(&domain, domain_len), text(&name, name_len)))
}

/// Logs on as a batch job with a password. **A token is no proof of anything**: see [`Token::user`].
///
/// # Errors
/// Why the system refused.
pub fn logon_batch(domain: &str, name: &str, password: &Password) -> Result<Token, LogonError> {
    logon(domain, name, password, LOGON32_LOGON_BATCH)
}

/// Logs on as a managed service account, whose password the directory keeps. **A token is no proof of anything.**
///
/// # Errors
/// Why the system refused.
pub fn logon_managed(domain: &str, name: &str) -> Result<Token, LogonError> {
    let password = Password::new(MANAGED).ok_or(LogonError::Other(0))?;
    logon(domain, name, &password, LOGON32_LOGON_SERVICE)
}

fn logon(domain: &str, name: &str, password: &Password, kind: u32) -> Result<Token, LogonError> {
    let no_name = |_| LogonError::NoSuchAccount;
    let (domain, name) = (
        units(domain).map_err(no_name)?,
        units(name).map_err(no_name)?,
    );
    let mut token: HANDLE = null_mut();
    // SAFETY: all texts end with a zero, and `token` lives through the call.
    let is_on = unsafe {
        LogonUserW(
            name.as_ptr(),
            domain.as_ptr(),
            password.units().as_ptr(),
            kind,
            LOGON32_PROVIDER_DEFAULT,
            &raw mut token,
        )
    };
    if is_on == 0 {
        return Err(LogonError::of(last()));
    }
    let token = owned(token).map_err(|_| LogonError::Other(last()))?;
    Ok(Token::of_handle(token))
}

/// Logs on for somebody without a password (S4U): with an account of this host when `is_local`, else of a domain. The token
/// is good for this host only. **A token is no proof of anything.**
///
/// # Errors
/// Why the system refused.
pub fn logon_s4u(domain: &str, name: &str, is_local: bool) -> Result<Token, LogonError> {
    let no_name = |_| LogonError::NoSuchAccount;
    let mut user = units(name).map_err(no_name)?;
    let mut realm = units(domain).map_err(no_name)?;
    let texts = (lsa_text(&mut user)?, lsa_text(&mut realm)?);
    if is_local {
        let request = MSV1_0_S4U_LOGON {
            MessageType: MsV1_0S4ULogon,
            Flags: 0,
            UserPrincipalName: texts.0,
            DomainName: texts.1,
        };
        lsa_logon(c"MICROSOFT_AUTHENTICATION_PACKAGE_V1_0", &request)
    } else {
        let request = KERB_S4U_LOGON {
            MessageType: KerbS4ULogon,
            Flags: 0,
            ClientUpn: texts.0,
            ClientRealm: texts.1,
        };
        lsa_logon(c"Kerberos", &request)
    }
}

/// Points to a text with a closing zero; it must outlive what is made of it.
fn lsa_text(text: &mut [u16]) -> Result<LSA_UNICODE_STRING, LogonError> {
    let bytes = text.len().saturating_sub(1) * 2;
    let length = u16::try_from(bytes).map_err(|_| LogonError::NoSuchAccount)?;
    Ok(LSA_UNICODE_STRING {
        Length: length,
        MaximumLength: length,
        Buffer: text.as_mut_ptr(),
    })
}

fn lsa_narrow(text: &std::ffi::CStr) -> LSA_STRING {
    let length = u16::try_from(text.count_bytes()).unwrap_or(0);
    LSA_STRING {
        Length: length,
        MaximumLength: length,
        Buffer: text.as_ptr().cast_mut().cast(),
    }
}

/// A connection to the local security authority, as one that logs people on.
struct Authority(HANDLE);

impl Authority {
    fn open() -> Result<Self, LogonError> {
        let name = lsa_narrow(c"tessera");
        let (mut handle, mut mode) = (null_mut(), 0);
        // SAFETY: all live through the call.
        done(unsafe { LsaRegisterLogonProcess(&raw const name, &raw mut handle, &raw mut mode) })?;
        Ok(Self(handle))
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        // SAFETY: it was opened, and is not used any more.
        unsafe { LsaDeregisterLogonProcess(self.0) };
    }
}

/// Logs on with a request of an authentication package: for S4U the request is a structure whose texts it points to.
fn lsa_logon<T>(package: &std::ffi::CStr, request: &T) -> Result<Token, LogonError> {
    let authority = Authority::open()?;
    let package = lsa_narrow(package);
    let mut number = 0;
    // SAFETY: all live through the call.
    done(unsafe {
        LsaLookupAuthenticationPackage(authority.0, &raw const package, &raw mut number)
    })?;
    let origin = lsa_narrow(c"tessera");
    let source = TOKEN_SOURCE {
        SourceName: b"Tessera\0".map(u8::cast_signed),
        SourceIdentifier: LUID::default(),
    };
    let mut profile: *mut c_void = null_mut();
    let (mut profile_len, mut luid, mut sub) = (0, LUID::default(), 0);
    let mut token: HANDLE = null_mut();
    let mut quotas = Default::default();
    let size = u32::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: the request is one of the package's, with texts that live through the call, as all others do.
    let status = unsafe {
        LsaLogonUser(
            authority.0,
            &raw const origin,
            SECURITY_LOGON_TYPE::Batch,
            number,
            std::ptr::from_ref(request).cast(),
            size,
            null(),
            &raw const source,
            &raw mut profile,
            &raw mut profile_len,
            &raw mut luid,
            &raw mut token,
            &raw mut quotas,
            &raw mut sub,
        )
    };
    if !profile.is_null() {
        // SAFETY: the call has made it, and nobody uses it.
        unsafe { LsaFreeReturnBuffer(profile) };
    }
    done(status)?;
    let token = owned(token).map_err(|_| LogonError::Other(last()))?;
    Ok(Token::of_handle(token))
}

fn done(status: NTSTATUS) -> Result<(), LogonError> {
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: it computes.
    Err(LogonError::of(unsafe { RtlNtStatusToDosError(status) }))
}

/// Makes an account of this host for jobs, or gives the one that was made before a new password; it is enabled then.
///
/// # Errors
/// When there is one of that name which was not made here, or the system refuses.
pub fn renew_account(name: &str, password: &Password) -> io::Result<()> {
    let (mut user, mut comment) = (units(name)?, units(COMMENT)?);
    let mut secret = zeroize::Zeroizing::new(password.units().to_vec());
    let flags = UF_SCRIPT | UF_NORMAL_ACCOUNT | UF_DONT_EXPIRE_PASSWD | UF_PASSWD_CANT_CHANGE;
    let new = USER_INFO_1 {
        usri1_name: user.as_mut_ptr(),
        usri1_password: secret.as_mut_ptr(),
        usri1_password_age: 0,
        usri1_priv: USER_PRIV_USER,
        usri1_home_dir: null_mut(),
        usri1_comment: comment.as_mut_ptr(),
        usri1_flags: flags,
        usri1_script_path: null_mut(),
    };
    // SAFETY: the structure is that of level 1, and all that it points to lives through the call.
    let code = unsafe { NetUserAdd(null(), 1, (&raw const new).cast(), null_mut()) };
    if code != NERR_UserExists {
        return net(code);
    }
    if !is_ours(&user)? {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("there is an account {name} that the farm has not made"),
        ));
    }
    let password = USER_INFO_1003 {
        usri1003_password: secret.as_mut_ptr(),
    };
    set_info(&mut user, 1003, &password)?;
    let flags = USER_INFO_1008 {
        usri1008_flags: flags,
    };
    set_info(&mut user, 1008, &flags)
}

/// Disables an account that was made for jobs; one that is not there is fine.
///
/// # Errors
/// When it was not made here, or the system refuses.
pub fn disable_account(name: &str) -> io::Result<()> {
    let mut user = units(name)?;
    match is_ours(&user) {
        Ok(true) => {}
        Ok(false) => return Err(io::ErrorKind::PermissionDenied.into()),
        Err(e) if e.raw_os_error() == Some(NERR_UserNotFound.cast_signed()) => return Ok(()),
        Err(e) => return Err(e),
    }
    let flags = USER_INFO_1008 {
        usri1008_flags: UF_SCRIPT | UF_NORMAL_ACCOUNT | UF_DONT_EXPIRE_PASSWD | UF_ACCOUNTDISABLE,
    };
    set_info(&mut user, 1008, &flags)
}

fn set_info<T>(user: &mut [u16], level: u32, info: &T) -> io::Result<()> {
    let info = std::ptr::from_ref(info).cast();
    // SAFETY: callers pass the structure of the level; all that it points to lives through the call.
    net(unsafe { NetUserSetInfo(null(), user.as_ptr(), level, info, null_mut()) })
}

/// Says whether an account has our comment.
fn is_ours(user: &[u16]) -> io::Result<bool> {
    let mut info: *mut u8 = null_mut();
    // SAFETY: the name ends with a zero, and `info` lives through the call.
    net(unsafe { NetUserGetInfo(null(), user.as_ptr(), 1, &raw mut info) })?;
    if info.is_null() {
        return Ok(false);
    }
    // SAFETY: the call has made a structure of level 1, whose comment is none or ends with a zero.
    let comment = unsafe {
        let comment = (*info.cast::<USER_INFO_1>()).usri1_comment;
        let text = super::text_at(comment);
        NetApiBufferFree(info.cast());
        text
    };
    Ok(comment == COMMENT)
}

fn net(code: u32) -> io::Result<()> {
    if code == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(code.cast_signed()))
    }
}

/// Lets an account log on as a batch job on this host.
///
/// # Errors
/// When the system refuses.
pub fn grant_batch(sid: &Sid) -> io::Result<()> {
    let attributes = LSA_OBJECT_ATTRIBUTES::default();
    let mut policy: LSA_HANDLE = 0;
    let access = (POLICY_CREATE_ACCOUNT | POLICY_LOOKUP_NAMES).cast_unsigned();
    let failed = |status: NTSTATUS| {
        if status >= 0 {
            return Ok(());
        }
        // SAFETY: it computes.
        let code = unsafe { LsaNtStatusToWinError(status) };
        Err(io::Error::from_raw_os_error(code.cast_signed()))
    };
    // SAFETY: all live through the call.
    failed(unsafe { LsaOpenPolicy(null(), &raw const attributes, access, &raw mut policy) })?;
    let mut right = units("SeBatchLogonRight")?;
    let right = lsa_text(&mut right).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut sid = sid.to_bytes();
    // SAFETY: the SID is valid, the one right that is counted and its text live through the call.
    let granted = failed(unsafe {
        LsaAddAccountRights(policy, sid.as_mut_ptr().cast(), &raw const right, 1)
    });
    // SAFETY: it was opened, and is not used any more.
    unsafe { LsaClose(policy) };
    granted
}
