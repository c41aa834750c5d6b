//! A window station and a desktop of one logon: programs that know windows need one, and nobody else's windows are on it.
#![expect(unsafe_code, reason = "calls of the system")]

use std::io;
use std::ptr::{null, null_mut};
use std::sync::{Mutex, PoisonError};

use windows_sys::Win32::System::StationsAndDesktops::{
    CloseDesktop, CloseWindowStation, CreateDesktopW, CreateWindowStationW,
    GetProcessWindowStation, HDESK, HWINSTA, SetProcessWindowStation,
};

use super::acl::Descriptor;
use super::{check, units};
use crate::Sid;

/// All that one may do with either.
const ALL: u32 = 0x1000_0000;
/// The desktop's name.
const DESKTOP: &str = "jobs";
/// A desktop is made in the window station of the whole process, which is another one for that moment.
static ONE: Mutex<()> = Mutex::new(());

/// A window station with one desktop.
#[derive(Debug)]
pub struct Station {
    name: String,
    station: HWINSTA,
    desktop: HDESK,
}

// SAFETY: both are numbers that only the system knows the meaning of; any thread may close them.
unsafe impl Send for Station {}
// SAFETY: nothing is done through a shared one.
unsafe impl Sync for Station {}

impl Station {
    /// Makes one that the system and one logon (or account) may use.
    ///
    /// # Errors
    /// When the system refuses, as it does to who may not name one.
    pub fn new(name: &str, logon: &Sid) -> io::Result<Self> {
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let descriptor = Descriptor::parse(&format!("D:P(A;;GA;;;SY)(A;;GA;;;{logon})"))?;
        let (station_text, desktop_text) = (units(name)?, units(DESKTOP)?);
        let attributes = descriptor.attributes();
        // SAFETY: the name ends with a zero; the attributes and what they point to live through the call.
        let station =
            unsafe { CreateWindowStationW(station_text.as_ptr(), 0, ALL, &raw const attributes) };
        if station.is_null() {
            return Err(io::Error::last_os_error());
        }
        let mut made = Self {
            name: name.to_owned(),
            station,
            desktop: null_mut(),
        };
        // SAFETY: it answers a number.
        let own = unsafe { GetProcessWindowStation() };
        // SAFETY: the station is open.
        check(unsafe { SetProcessWindowStation(station) })?;
        // SAFETY: the name ends with a zero; the attributes and what they point to live through the call.
        let desktop = unsafe {
            let name = desktop_text.as_ptr();
            CreateDesktopW(name, null(), null(), 0, ALL, &raw const attributes)
        };
        let made_desktop = if desktop.is_null() {
            Err(io::Error::last_os_error())
        } else {
            Ok(desktop)
        };
        // SAFETY: it is this process' own.
        check(unsafe { SetProcessWindowStation(own) })?;
        made.desktop = made_desktop?;
        Ok(made)
    }

    /// Answers what a program is told as its desktop.
    pub fn path(&self) -> String {
        format!("{}\\{DESKTOP}", self.name)
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        // SAFETY: both were opened here, and are not used any more.
        unsafe {
            if !self.desktop.is_null() {
                CloseDesktop(self.desktop);
            }
            CloseWindowStation(self.station);
        }
    }
}
