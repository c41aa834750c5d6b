//! Services: being one, and making, starting, stopping and removing them.
#![expect(unsafe_code, reason = "calls of the system")]

use std::io;
use std::ptr::{null, null_mut};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};

use windows_sys::Win32::Foundation::{
    ERROR_CALL_NOT_IMPLEMENTED, ERROR_INVALID_LEVEL, ERROR_SERVICE_ALREADY_RUNNING,
    ERROR_SERVICE_DOES_NOT_EXIST, ERROR_SERVICE_MARKED_FOR_DELETE, ERROR_SERVICE_NOT_ACTIVE,
    NO_ERROR,
};
use windows_sys::Win32::System::Services::{
    ChangeServiceConfig2W, CloseServiceHandle, ControlService, CreateServiceW, DeleteService,
    OpenSCManagerW, OpenServiceW, QueryServiceStatusEx, RegisterServiceCtrlHandlerExW, SC_ACTION,
    SC_ACTION_RESTART, SC_HANDLE, SC_MANAGER_CONNECT, SC_MANAGER_CREATE_SERVICE,
    SC_STATUS_PROCESS_INFO, SERVICE_ACCEPT_PRESHUTDOWN, SERVICE_ACCEPT_SHUTDOWN,
    SERVICE_ACCEPT_STOP, SERVICE_ALL_ACCESS, SERVICE_AUTO_START,
    SERVICE_CONFIG_DELAYED_AUTO_START_INFO, SERVICE_CONFIG_DESCRIPTION,
    SERVICE_CONFIG_FAILURE_ACTIONS, SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO,
    SERVICE_CONFIG_SERVICE_SID_INFO, SERVICE_CONTROL_INTERROGATE, SERVICE_CONTROL_PRESHUTDOWN,
    SERVICE_CONTROL_SHUTDOWN, SERVICE_CONTROL_STOP, SERVICE_DELAYED_AUTO_START_INFO,
    SERVICE_DESCRIPTIONW, SERVICE_ERROR_NORMAL, SERVICE_FAILURE_ACTIONSW, SERVICE_QUERY_STATUS,
    SERVICE_REQUIRED_PRIVILEGES_INFOW, SERVICE_RUNNING, SERVICE_SID_INFO, SERVICE_START_PENDING,
    SERVICE_STATUS, SERVICE_STATUS_HANDLE, SERVICE_STATUS_PROCESS, SERVICE_STOP_PENDING,
    SERVICE_STOPPED, SERVICE_TABLE_ENTRYW, SERVICE_WIN32_OWN_PROCESS, SetServiceStatus,
    StartServiceCtrlDispatcherW, StartServiceW,
};

use super::{check, last, size_of_u32, units};
use crate::{ServiceSpec, ServiceState};

/// What the SID of a service is good for: it is in its token (`SERVICE_SID_TYPE_UNRESTRICTED`).
const SID_IN_TOKEN: u32 = 1;
/// How long the system waits for a service that is starting or stopping, milliseconds.
const HINT_MS: u32 = 30_000;
/// Pauses before a service that failed is started again, milliseconds.
const RESTART_MS: [u32; 3] = [1_000, 10_000, 60_000];
/// After how long without a failure they are forgotten, seconds.
const RESET_SECONDS: u32 = 3_600;
/// What a service that failed says as its exit code (`ERROR_SERVICE_SPECIFIC_ERROR`), and its own number beside it.
const SPECIFIC: u32 = 1_066;

/// What a service does: until something comes through the channel. It answers its own exit code, 0 when all is well.
pub type Body = Box<dyn FnOnce(mpsc::Receiver<()>) -> u32 + Send>;

/// The one service of this process.
struct Own {
    name: Vec<u16>,
    body: Mutex<Option<Body>>,
    stop: Mutex<Option<mpsc::Sender<()>>>,
    handle: Mutex<usize>,
}

static OWN: OnceLock<Own> = OnceLock::new();

/// Is a service until it ends. Only the service manager can start one.
///
/// # Errors
/// When this process was not started by it.
pub fn serve(name: &str, body: Body) -> io::Result<()> {
    let own = Own {
        name: units(name)?,
        body: Mutex::new(Some(body)),
        stop: Mutex::new(None),
        handle: Mutex::new(0),
    };
    let own = OWN.get_or_init(|| own);
    let mut name = own.name.clone();
    let table = [
        SERVICE_TABLE_ENTRYW {
            lpServiceName: name.as_mut_ptr(),
            lpServiceProc: Some(service_main),
        },
        SERVICE_TABLE_ENTRYW {
            lpServiceName: null_mut(),
            lpServiceProc: None,
        },
    ];
    // SAFETY: the table ends with an empty entry, and lives through the call.
    check(unsafe { StartServiceCtrlDispatcherW(table.as_ptr()) })
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

unsafe extern "system" fn service_main(_count: u32, _words: *mut *mut u16) {
    let Some(own) = OWN.get() else { return };
    let (stop, stopped) = mpsc::channel();
    *lock(&own.stop) = Some(stop);
    // SAFETY: the name ends with a zero and lives as long as the process.
    let handle =
        unsafe { RegisterServiceCtrlHandlerExW(own.name.as_ptr(), Some(on_control), null()) };
    if handle.is_null() {
        return;
    }
    *lock(&own.handle) = handle.addr();
    say(SERVICE_START_PENDING, 0);
    let body = lock(&own.body).take();
    say(SERVICE_RUNNING, 0);
    let code = body.map_or(0, |body| body(stopped));
    say(SERVICE_STOPPED, code);
}

unsafe extern "system" fn on_control(
    control: u32,
    _kind: u32,
    _data: *mut std::ffi::c_void,
    _context: *mut std::ffi::c_void,
) -> u32 {
    match control {
        SERVICE_CONTROL_INTERROGATE => NO_ERROR,
        SERVICE_CONTROL_STOP | SERVICE_CONTROL_SHUTDOWN | SERVICE_CONTROL_PRESHUTDOWN => {
            say(SERVICE_STOP_PENDING, 0);
            if let Some(own) = OWN.get()
                && let Some(stop) = lock(&own.stop).as_ref()
            {
                // Who has ended already needs not be told.
                let _ = stop.send(());
            }
            NO_ERROR
        }
        _ => ERROR_CALL_NOT_IMPLEMENTED,
    }
}

/// Tells the service manager how it stands.
fn say(state: u32, code: u32) {
    let Some(own) = OWN.get() else { return };
    let handle = *lock(&own.handle);
    let accepted = if state == SERVICE_RUNNING {
        SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN | SERVICE_ACCEPT_PRESHUTDOWN
    } else {
        0
    };
    let is_pending = state == SERVICE_START_PENDING || state == SERVICE_STOP_PENDING;
    let status = SERVICE_STATUS {
        dwServiceType: SERVICE_WIN32_OWN_PROCESS,
        dwCurrentState: state,
        dwControlsAccepted: accepted,
        dwWin32ExitCode: if code == 0 { NO_ERROR } else { SPECIFIC },
        dwServiceSpecificExitCode: code,
        dwCheckPoint: 0,
        dwWaitHint: if is_pending { HINT_MS } else { 0 },
    };
    let handle: SERVICE_STATUS_HANDLE = std::ptr::with_exposed_provenance_mut(handle);
    // SAFETY: the handle is the one that was registered; nobody has to close it.
    unsafe { SetServiceStatus(handle, &raw const status) };
}

/// A handle of the service manager.
struct Handle(SC_HANDLE);

impl Handle {
    fn of(handle: SC_HANDLE) -> io::Result<Self> {
        if handle.is_null() {
            Err(io::Error::last_os_error())
        } else {
            Ok(Self(handle))
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: it was opened, and is not used any more.
        unsafe { CloseServiceHandle(self.0) };
    }
}

fn manager(access: u32) -> io::Result<Handle> {
    // SAFETY: no names are this host and its usual database.
    Handle::of(unsafe { OpenSCManagerW(null(), null(), access) })
}

/// Opens a service; `None` if there is none.
fn open(name: &str, access: u32) -> io::Result<Option<Handle>> {
    let manager = manager(SC_MANAGER_CONNECT)?;
    let name = units(name)?;
    // SAFETY: the manager is open, and the name ends with a zero.
    match Handle::of(unsafe { OpenServiceW(manager.0, name.as_ptr(), access) }) {
        Err(e) if e.raw_os_error() == Some(ERROR_SERVICE_DOES_NOT_EXIST.cast_signed()) => Ok(None),
        other => other.map(Some),
    }
}

/// Makes a service that starts with the host. What is missing of the extras on this system is answered.
///
/// # Errors
/// When there is one, or the system refuses.
pub fn install_service(spec: &ServiceSpec) -> io::Result<Vec<String>> {
    let manager = manager(SC_MANAGER_CREATE_SERVICE)?;
    let (name, title) = (units(&spec.name)?, units(&spec.title)?);
    let command = units(&spec.command)?;
    let account = spec.account.as_deref().map(units).transpose()?;
    let mut needs: Vec<u16> = Vec::new();
    for other in &spec.needs {
        needs.extend(units(other)?);
    }
    needs.push(0);
    // SAFETY: the manager is open; all texts end with a zero, the list with two, and all live through the call.
    let service = Handle::of(unsafe {
        CreateServiceW(
            manager.0,
            name.as_ptr(),
            title.as_ptr(),
            SERVICE_ALL_ACCESS,
            SERVICE_WIN32_OWN_PROCESS,
            SERVICE_AUTO_START,
            SERVICE_ERROR_NORMAL,
            command.as_ptr(),
            null(),
            null_mut(),
            if spec.needs.is_empty() {
                null()
            } else {
                needs.as_ptr()
            },
            account.as_ref().map_or(null(), |it| it.as_ptr()),
            null(),
        )
    })?;
    match extras(&service, spec) {
        Ok(missing) => Ok(missing),
        Err(error) => {
            // SAFETY: it was just made and opened with all rights.
            unsafe { DeleteService(service.0) };
            Err(error)
        }
    }
}

fn extras(service: &Handle, spec: &ServiceSpec) -> io::Result<Vec<String>> {
    let mut missing = Vec::new();
    let mut set = |level, what: &str, done: io::Result<()>| match done {
        // Windows has had all of them since Vista; Wine does not know each.
        Err(error) if error.raw_os_error() == Some(ERROR_INVALID_LEVEL.cast_signed()) => {
            missing.push(format!("{what} (level {level})"));
            Ok(())
        }
        other => other,
    };
    let mut text = units(&spec.description)?;
    let description = SERVICE_DESCRIPTIONW {
        lpDescription: text.as_mut_ptr(),
    };
    let level = SERVICE_CONFIG_DESCRIPTION;
    set(level, "descriptions", change(service, level, &description))?;
    let sid = SERVICE_SID_INFO {
        dwServiceSidType: SID_IN_TOKEN,
    };
    let level = SERVICE_CONFIG_SERVICE_SID_INFO;
    set(level, "SIDs of services", change(service, level, &sid))?;
    let mut privileges: Vec<u16> = Vec::new();
    for name in &spec.privileges {
        privileges.extend(units(name)?);
    }
    privileges.push(0);
    if spec.privileges.is_empty() {
        privileges.push(0);
    }
    let required = SERVICE_REQUIRED_PRIVILEGES_INFOW {
        pmszRequiredPrivileges: privileges.as_mut_ptr(),
    };
    let level = SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO;
    set(
        level,
        "lists of privileges",
        change(service, level, &required),
    )?;
    let mut actions = RESTART_MS.map(|delay| SC_ACTION {
        Type: SC_ACTION_RESTART,
        Delay: delay,
    });
    let failure = SERVICE_FAILURE_ACTIONSW {
        dwResetPeriod: RESET_SECONDS,
        lpRebootMsg: null_mut(),
        lpCommand: null_mut(),
        cActions: u32::try_from(actions.len()).unwrap_or(0),
        lpsaActions: actions.as_mut_ptr(),
    };
    let level = SERVICE_CONFIG_FAILURE_ACTIONS;
    set(
        level,
        "restarts after a failure",
        change(service, level, &failure),
    )?;
    let delayed = SERVICE_DELAYED_AUTO_START_INFO {
        fDelayedAutostart: 1,
    };
    let level = SERVICE_CONFIG_DELAYED_AUTO_START_INFO;
    set(level, "delayed starts", change(service, level, &delayed))?;
    Ok(missing)
}

fn change<T>(service: &Handle, level: u32, info: &T) -> io::Result<()> {
    let info = std::ptr::from_ref(info).cast();
    // SAFETY: callers pass the structure of the level; all that it points to lives through the call.
    check(unsafe { ChangeServiceConfig2W(service.0, level, info) })
}

/// Answers how a service stands; `None` if there is none.
///
/// # Errors
/// When the system does not say.
pub fn service_state(name: &str) -> io::Result<Option<ServiceState>> {
    let Some(service) = open(name, SERVICE_QUERY_STATUS)? else {
        return Ok(None);
    };
    state_of(&service).map(Some)
}

fn state_of(service: &Handle) -> io::Result<ServiceState> {
    let (mut status, mut needed) = (SERVICE_STATUS_PROCESS::default(), 0);
    let size = size_of_u32::<SERVICE_STATUS_PROCESS>();
    // SAFETY: the structure is that of the level, of the size that is said.
    check(unsafe {
        let to = (&raw mut status).cast();
        QueryServiceStatusEx(service.0, SC_STATUS_PROCESS_INFO, to, size, &raw mut needed)
    })?;
    Ok(match status.dwCurrentState {
        SERVICE_STOPPED => ServiceState::Stopped,
        SERVICE_RUNNING => ServiceState::Running {
            process: status.dwProcessId,
        },
        _ => ServiceState::Between,
    })
}

/// Starts a service; that it runs is fine.
///
/// # Errors
/// When there is none, or it does not start.
pub fn start_service(name: &str) -> io::Result<()> {
    let service = open(name, SERVICE_ALL_ACCESS)?.ok_or(io::ErrorKind::NotFound)?;
    // SAFETY: the service is open; it gets no words.
    let is_started = unsafe { StartServiceW(service.0, 0, null()) };
    match last() {
        _ if is_started != 0 => Ok(()),
        ERROR_SERVICE_ALREADY_RUNNING => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.cast_signed())),
    }
}

/// Tells a service to stop, and does not wait; that it does not run, or is not there, is fine.
///
/// # Errors
/// When the system refuses.
pub fn stop_service(name: &str) -> io::Result<()> {
    let Some(service) = open(name, SERVICE_ALL_ACCESS)? else {
        return Ok(());
    };
    let mut status = SERVICE_STATUS::default();
    // SAFETY: the service is open, and `status` lives through the call.
    let is_told = unsafe { ControlService(service.0, SERVICE_CONTROL_STOP, &raw mut status) };
    match last() {
        _ if is_told != 0 => Ok(()),
        ERROR_SERVICE_NOT_ACTIVE => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.cast_signed())),
    }
}

/// Removes a service, which should be stopped; that there is none is fine.
///
/// # Errors
/// When the system refuses.
pub fn delete_service(name: &str) -> io::Result<()> {
    let Some(service) = open(name, SERVICE_ALL_ACCESS)? else {
        return Ok(());
    };
    // SAFETY: the service is open.
    let is_deleted = unsafe { DeleteService(service.0) };
    match last() {
        _ if is_deleted != 0 => Ok(()),
        ERROR_SERVICE_MARKED_FOR_DELETE => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.cast_signed())),
    }
}
